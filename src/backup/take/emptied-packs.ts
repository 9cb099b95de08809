/**
 * Packs of the reference backup that are mostly dead: what is still needed of them is stored anew,
 * so that they can go when older backups go. This keeps the repository small without ever rewriting
 * an object (docs/adr/0030-emptying-packs.md).
 */
import type { PackUse } from '../../repository/backup-info.ts'
import { PAGE_BYTES } from '../../repository/format.ts'
import type { ManifestFile } from '../../repository/manifest-entry.ts'

/** A pack of which less than this share is needed is emptied. */
const LIVE_SHARE_MIN = 0.3

/** At most this share of the database is stored anew by one backup only to empty packs. */
const BUDGET_SHARE = 0.05

/** Which packs to empty, and how many bytes may be moved. */
export interface EmptyingPlan {
  readonly packs: readonly string[]
  readonly budgetBytes: number
}

/**
 * Plans what a new backup moves out of the packs its reference points into: the emptiest packs
 * first, as many as fit into the budget as a whole. When not even one does, the emptiest is emptied
 * in part, and further by the next backup. Pure.
 */
export function planEmptying(packs: readonly PackUse[], databaseBytes: number): EmptyingPlan {
  const share = (pack: PackUse): number => pack.liveBytes / Math.max(1, pack.rawBytes)
  const budgetBytes = Math.floor(databaseBytes * BUDGET_SHARE)
  const candidates = packs
    .filter((pack) => share(pack) < LIVE_SHARE_MIN)
    .sort((a, b) => share(a) - share(b))
  let moved = 0
  const whole = candidates.filter((pack) => {
    const fits = moved + pack.liveBytes <= budgetBytes
    if (fits) moved += pack.liveBytes
    return fits
  })
  const chosen = whole.length > 0 ? whole : candidates.slice(0, 1)
  return { packs: chosen.map(({ name }) => name), budgetBytes }
}

/** Carries out an EmptyingPlan page by page. */
export class EmptiedPacks {
  readonly #names: ReadonlySet<string>
  #budgetBytes: number
  #file: ManifestFile | undefined
  /** For each page of the file 1 when it lies in these packs; undefined when none does. */
  #pages: Uint8Array | undefined

  constructor(plan: EmptyingPlan) {
    this.#names = new Set(plan.packs)
    this.#budgetBytes = plan.budgetBytes
  }

  /**
   * Whether the page at `fileOffset` of the reference's `file` is to be stored anew. Counts it as
   * done if so.
   */
  takes(file: ManifestFile, fileOffset: number): boolean {
    if (this.#names.size === 0 || this.#budgetBytes < PAGE_BYTES) return false
    if (this.#file !== file) {
      this.#file = file
      this.#pages = this.#mark(file)
    }
    if (this.#pages?.[fileOffset / PAGE_BYTES] !== 1) return false
    this.#budgetBytes -= PAGE_BYTES
    return true
  }

  #mark(file: ManifestFile): Uint8Array | undefined {
    let pages: Uint8Array | undefined
    let position = 0
    for (const extent of file.extents) {
      const end = position + extent.length
      if (extent.unit !== undefined && this.#names.has(extent.unit.pack)) {
        pages ??= new Uint8Array(Math.ceil(file.sizeBytes / PAGE_BYTES))
        pages.fill(1, Math.floor(position / PAGE_BYTES), Math.ceil(end / PAGE_BYTES))
      }
      position = end
    }
    return pages
  }
}
