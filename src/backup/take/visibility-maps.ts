/**
 * Visibility maps in an incremental stream. PostgreSQL clears a bit of a map without naming the
 * map's page in WAL (the record names only the block whose rows changed), so neither its WAL
 * summaries nor the stream know of it: a page of a map that is taken over from the reference may
 * say «all visible» of blocks that are not. The bits of blocks behind a cut go without any word in
 * WAL. Such bits are cleared when all files have come, because a relation's main fork can come
 * after its map.
 */
import { parseRelationPath } from '../../postgres/relation-path.ts'
import { VisibilityCleaner } from '../../postgres/visibility-map.ts'
import { ChangedBlocks } from './changed-blocks.ts'

/** What a page of a map that is taken over has to become; undefined when it may stay. */
export type PageMend = (page: Buffer, mapBlock: number) => Buffer | undefined

interface WaitingMap {
  readonly relation: string
  /**
   * Where the relation's main fork was cut: a map may speak of blocks that are gone, or came again
   * as zeros.
   */
  readonly limitBlock: number | undefined
  readonly close: (mend: PageMend | undefined) => Promise<void>
}

/** The maps of one backup. */
export class VisibilityMaps {
  readonly changed = new ChangedBlocks()
  readonly #cleaner: VisibilityCleaner
  readonly #waiting: WaitingMap[] = []

  /** @param checksums whether the cluster's pages carry them */
  constructor(checksums: boolean) {
    this.#cleaner = new VisibilityCleaner(checksums)
  }

  /**
   * Has a map's file closed when it is known what changed. False for any other file, which may be
   * closed at once.
   */
  defer(path: string, { limitBlock, close }: Omit<WaitingMap, 'relation'>): boolean {
    const file = parseRelationPath(path)
    if (file?.fork !== 'vm') return false
    this.#waiting.push({ relation: file.relation, limitBlock, close })
    return true
  }

  /** No more files come: closes the maps, one after the other. */
  async finish(): Promise<void> {
    for (const { relation, limitBlock = Infinity, close } of this.#waiting.splice(0)) {
      const isNamed = this.changed.of(relation)
      const isChanged = (block: number): boolean => block >= limitBlock || isNamed(block)
      await close((page, block) => this.#cleaner.clear(page, block, isChanged))
    }
  }
}
