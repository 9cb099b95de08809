/**
 * Notes what lies in each finished pack of a full backup, so that the next one can go on should
 * this one be interrupted. Only long stretches of relations: the rest is little, and is stored
 * again.
 */
import type { Lsn } from '../../postgres/lsn.ts'
import { parseRelationPath } from '../../postgres/relation-path.ts'
import type { BackupId } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { PAGE_BYTES } from '../../repository/format.ts'
import type { ManifestFile } from '../../repository/manifest-entry.ts'
import { ManifestWriter } from '../../repository/manifest-writer.ts'
import type { WrittenPack } from '../../repository/pack-writer.ts'
import { PageCrcWriter } from '../../repository/page-crc-object.ts'
import { joinPageCrcs, pageCountOf } from '../../repository/page-crcs.ts'
import { partNames, putPart } from '../../repository/unfinished.ts'
import type { UnitPiece } from '../../repository/unit-packer.ts'
import { ZERO_PAGE_CRC } from './file-record.ts'
import { type Fresh, overlayExtents } from './overlay.ts'

/** Shorter stretches are not worth a line. */
const STRETCH_BYTES = 8 * PAGE_BYTES

/** Whose packs they are. */
export interface PartWriterOptions {
  readonly cluster: ClusterRepository
  readonly id: BackupId
  readonly startLsn: () => Lsn
}

/** Whole pages that lie in a pack. */
interface PageStretch extends Fresh {
  readonly pageCrcs: Uint32Array
}

interface PartBeingWritten {
  readonly pack: string
  readonly files: Map<string, PageStretch[]>
}

/**
 * Call `closed` for each pack that is durable, `placed` for each piece in a pack, in the order of
 * the packs.
 */
export class PartWriter {
  readonly #options: PartWriterOptions
  readonly #closed = new Map<string, WrittenPack>()
  #open: PartBeingWritten | undefined
  #tail: Promise<void> = Promise.resolve()

  constructor(options: PartWriterOptions) {
    this.#options = options
  }

  closed(pack: WrittenPack): void {
    this.#closed.set(pack.name, pack)
  }

  placed(path: string, piece: UnitPiece): void {
    const { unit } = piece.extent
    if (unit === undefined) return
    if (this.#open !== undefined && this.#open.pack !== unit.pack) this.#end()
    const stretch = stretchOf(path, piece)
    if (stretch === undefined) return
    this.#open ??= { pack: unit.pack, files: new Map() }
    const known = this.#open.files.get(path)
    if (known === undefined) this.#open.files.set(path, [stretch])
    else known.push(stretch)
  }

  /**
   * Resolves when the parts of all closed packs are durable.
   * @throws {BackstayError} DISK_SPACE, STORE
   */
  async finish(): Promise<void> {
    this.#end()
    await this.#tail
  }

  #end(): void {
    const open = this.#open
    const pack = this.#closed.get(open?.pack ?? '')
    if (open === undefined || pack === undefined) return
    this.#open = undefined
    this.#closed.delete(pack.name)
    this.#tail = this.#after(this.#tail, () => this.#write(open, pack))
    // A failure stays in the chain until `finish` meets it.
    this.#tail.catch(() => undefined)
  }

  async #after(before: Promise<void>, write: () => Promise<void>): Promise<void> {
    await before
    await write()
  }

  async #write({ files }: PartBeingWritten, pack: WrittenPack): Promise<void> {
    const { cluster, id } = this.#options
    const number = Number(pack.name.slice(-6))
    const names = partNames(cluster.names, number)
    await using manifest = await ManifestWriter.create(cluster.store, names, id)
    await using pageCrcs = await PageCrcWriter.create(cluster.store, names, id)
    for (const [path, stretches] of files) {
      const { file, crcs } = describe(path, stretches)
      await manifest.add(file)
      await pageCrcs.add(file, crcs)
    }
    await pageCrcs.finish()
    const { storedBytes, sha256 } = await manifest.finish()
    await putPart(cluster, {
      id,
      number,
      pack,
      startLsn: this.#options.startLsn(),
      files: files.size,
      manifest: { storedBytes, sha256 },
      writtenAt: new Date(cluster.clock.now()).toISOString(),
    })
  }
}

/** Undefined for what is not worth keeping, or not a relation's own pages. */
function stretchOf(path: string, piece: UnitPiece): PageStretch | undefined {
  const length = piece.length - (piece.length % PAGE_BYTES)
  if (length < STRETCH_BYTES || piece.pageCrcs === undefined) return undefined
  if (parseRelationPath(path)?.fork !== 'main') return undefined
  return {
    fileOffset: piece.fileOffset,
    extent: { ...piece.extent, length },
    pageCrcs: piece.pageCrcs.subarray(0, length / PAGE_BYTES),
  }
}

/**
 * The file as far as it lies in the pack; what does not is zeros, in its extents and in its CRCs.
 */
function describe(
  path: string,
  stretches: PageStretch[],
): { file: ManifestFile; crcs: Uint32Array } {
  const fresh = stretches.toSorted((a, b) => a.fileOffset - b.fileOffset)
  const last = fresh.at(-1)
  const sizeBytes = last === undefined ? 0 : last.fileOffset + last.extent.length
  const crcs = new Uint32Array(pageCountOf(sizeBytes)).fill(ZERO_PAGE_CRC)
  for (const { fileOffset, pageCrcs } of fresh) crcs.set(pageCrcs, fileOffset / PAGE_BYTES)
  const extents = overlayExtents({ sizeBytes, fresh, reference: [], referenceEnd: 0 })
  const crc32c = joinPageCrcs(crcs, sizeBytes)
  const file = { path, mode: 0o600, modifiedAtMs: 0, sizeBytes, crc32c, extents }
  return { file: { kind: 'file', ...file }, crcs }
}
