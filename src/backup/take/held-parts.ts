/**
 * What interrupted full backups have stored, opened as a reference for the one that goes on: pages
 * that are still the same are pointed at.
 */
import { crc32c } from '@node-rs/crc32'
import { isBackstayError } from '../../errors/backstay-error.ts'
import type { Lsn } from '../../postgres/lsn.ts'
import type { BackupId } from '../../repository/backup-info.ts'
import { readCatalogue } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { PAGE_BYTES } from '../../repository/format.ts'
import type { ManifestFile } from '../../repository/manifest-entry.ts'
import type { EntryPlace, ManifestReader } from '../../repository/manifest-reader.ts'
import { openManifest } from '../../repository/open-manifest.ts'
import { PackReader } from '../../repository/pack-reader.ts'
import type { WrittenPack } from '../../repository/pack-writer.ts'
import { PageCrcReader, pageCrcWords } from '../../repository/page-crc-object.ts'
import { joinPageCrcs, pageCountOf } from '../../repository/page-crcs.ts'
import { type BackupPart, partNames, readUnfinished } from '../../repository/unfinished.ts'
import { ZERO_PAGE_CRC } from './file-record.ts'
import { type Fresh, overlayExtents } from './overlay.ts'
import type { OpenReference } from './receive-options.ts'
import type { ReferenceFile } from './reference-files.ts'

const CHECKED_BYTES = 4 * 1024 * 1024

/**
 * What interrupted fulls have stored, open for the full that goes on with it. Disposing closes the
 * packs.
 */
export interface HeldParts extends OpenReference, AsyncDisposable {
  /** Of the backups that are gone on with, oldest first. */
  readonly ids: readonly BackupId[]
  readonly packs: PackReader
  readonly written: readonly WrittenPack[]
}

interface HeldPart {
  readonly part: BackupPart
  readonly manifest: ManifestReader
  readonly crcs: PageCrcReader
}

interface FoundFile {
  readonly open: HeldPart
  readonly place: EntryPlace
  readonly firstCrcWord: number
}

/**
 * Opens all there are; undefined when there are none. `warn` is told of those that cannot be used.
 */
export async function openHeldParts(
  cluster: ClusterRepository,
  warn: (text: string) => void,
): Promise<HeldParts | undefined> {
  const { backups } = await readCatalogue(cluster)
  const parts = (await readUnfinished(cluster, backups[0]?.info.id)).flatMap((one) => one.parts)
  const files = new PartFiles(cluster, warn)
  try {
    for (const part of parts) await files.add(part)
  } catch (error) {
    await files[Symbol.asyncDispose]()
    throw error
  }
  const used = files.parts
  const [first] = used
  if (first === undefined) return undefined
  const packs = new PackReader(cluster.store, cluster.names)
  return {
    ids: [...new Set(used.map(({ id }) => id))],
    files,
    // The oldest: a page that changed since one of them began is stored anew.
    startLsn: used.reduce<Lsn>(
      (lsn, part) => (part.startLsn < lsn ? part.startLsn : lsn),
      first.startLsn,
    ),
    emptying: { packs: [], budgetBytes: 0 },
    packs,
    written: used.map(({ pack }) => pack),
    [Symbol.asyncDispose]: async () => {
      await packs[Symbol.asyncDispose]()
      await files[Symbol.asyncDispose]()
    },
  }
}

/** Files by path, put together from all parts that hold some of them. */
class PartFiles implements AsyncDisposable {
  readonly #cluster: ClusterRepository
  readonly #warn: (text: string) => void
  readonly #open: HeldPart[] = []
  readonly #places = new Map<string, FoundFile[]>()
  readonly #checked = new Map<string, Promise<boolean>>()

  constructor(cluster: ClusterRepository, warn: (text: string) => void) {
    this.#cluster = cluster
    this.#warn = warn
  }

  get parts(): BackupPart[] {
    return this.#open.map(({ part }) => part)
  }

  /** Parts are added oldest first. One that cannot be read is left out. */
  async add(part: BackupPart): Promise<void> {
    try {
      const open = await openPart(this.#cluster, part)
      if (open === undefined) return
      this.#open.push(open)
      await this.#index(open)
    } catch (error) {
      if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
      this.#warn(
        `What was stored before in pack "${part.pack.name}" is stored anew: ${error.message}`,
      )
    }
  }

  async find(path: string): Promise<ReferenceFile | undefined> {
    let whole: ReferenceFile | undefined
    for (const found of this.#places.get(path) ?? []) {
      if (!(await this.#isWhole(found.open.part.pack))) continue
      const entry = await found.open.manifest.entryAt(found.place)
      if (entry.kind !== 'file') continue
      const pageCrcs = await found.open.crcs.read(entry, found.firstCrcWord)
      if (pageCrcs === undefined) continue
      if (joinPageCrcs(pageCrcs, entry.sizeBytes) !== entry.crc32c) continue
      whole = layOver(whole, { file: entry, pageCrcs })
    }
    return whole
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { manifest, crcs } of this.#open) {
      await manifest[Symbol.asyncDispose]()
      await crcs[Symbol.asyncDispose]()
    }
  }

  async #index(open: HeldPart): Promise<void> {
    let firstCrcWord = 0
    for await (const { entry, place } of open.manifest.placedEntries()) {
      if (entry.kind !== 'file') continue
      const found = { open, place, firstCrcWord }
      firstCrcWord += pageCrcWords(entry)
      const known = this.#places.get(entry.path)
      if (known === undefined) this.#places.set(entry.path, [found])
      else known.push(found)
    }
  }

  /**
   * Whether the pack is byte for byte what was written; it is read once, when the first of its
   * files is asked for.
   */
  #isWhole(pack: WrittenPack): Promise<boolean> {
    const known = this.#checked.get(pack.name)
    if (known !== undefined) return known
    const checked = this.#check(pack)
    this.#checked.set(pack.name, checked)
    return checked
  }

  async #check(pack: WrittenPack): Promise<boolean> {
    const crc = await crcOf(this.#cluster, pack.name)
    if (crc === pack.crc32c) return true
    this.#warn(`What was stored before in pack "${pack.name}" is stored anew: its CRC-32C is wrong`)
    return false
  }
}

async function openPart(
  { store, names }: ClusterRepository,
  part: BackupPart,
): Promise<HeldPart | undefined> {
  const own = partNames(names, part.number)
  const crcs = await PageCrcReader.open(store, own, part.id)
  if (crcs === undefined) return undefined
  try {
    return { part, crcs, manifest: await openManifest({ store, names: own }, part) }
  } catch (error) {
    await crcs[Symbol.asyncDispose]()
    throw error
  }
}

async function crcOf(
  { store, names }: ClusterRepository,
  pack: string,
): Promise<number | undefined> {
  await using object = await store.open(names.pack(pack))
  if (object === undefined) return undefined
  let crc = 0
  for (let at = 0; at < object.sizeBytes; at += CHECKED_BYTES) {
    const bytes = Buffer.allocUnsafe(Math.min(CHECKED_BYTES, object.sizeBytes - at))
    await object.read(at, bytes)
    crc = crc32c(bytes, crc)
  }
  return crc
}

/**
 * `newer` where it holds something, `older` elsewhere. In a part a file's zeros mean that nothing
 * is held.
 */
function layOver(older: ReferenceFile | undefined, newer: ReferenceFile): ReferenceFile {
  if (older === undefined) return newer
  const fresh = heldOf(newer.file)
  const sizeBytes = Math.max(older.file.sizeBytes, newer.file.sizeBytes)
  const pageCrcs = new Uint32Array(pageCountOf(sizeBytes)).fill(ZERO_PAGE_CRC)
  pageCrcs.set(older.pageCrcs)
  for (const { fileOffset, extent } of fresh) {
    const from = fileOffset / PAGE_BYTES
    const to = (fileOffset + extent.length) / PAGE_BYTES
    pageCrcs.set(newer.pageCrcs.subarray(from, to), from)
  }
  const reference = older.file.extents
  const referenceEnd = older.file.sizeBytes
  const extents = overlayExtents({ sizeBytes, fresh, reference, referenceEnd })
  const crc32c = joinPageCrcs(pageCrcs, sizeBytes)
  return { file: { ...newer.file, sizeBytes, crc32c, extents }, pageCrcs }
}

function heldOf({ extents }: ManifestFile): Fresh[] {
  const held: Fresh[] = []
  let fileOffset = 0
  for (const extent of extents) {
    if (extent.unit !== undefined) held.push({ fileOffset, extent })
    fileOffset += extent.length
  }
  return held
}
