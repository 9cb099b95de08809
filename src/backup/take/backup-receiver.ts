/**
 * Receives a base backup into packs and a manifest. Nothing of it is listed until backup.json is
 * written.
 *
 *   stream → intake of the file's kind → window (examined) → units (compressed) → packs
 *                                      ↘ file record → manifest
 */
import { crc32c } from '@node-rs/crc32'
import { BackstayError } from '../../errors/backstay-error.ts'
import { INVALID_LSN } from '../../postgres/lsn.ts'
import { versionFacts } from '../../postgres/version.ts'
import { ManifestWriter } from '../../repository/manifest-writer.ts'
import { PageCrcWriter } from '../../repository/page-crc-object.ts'
import type { PackParts, WrittenPack } from '../../repository/pack-writer.ts'
import type {
  BaseBackupEnd,
  BaseBackupEntry,
  BaseBackupSink,
  BaseBackupStart,
} from '../../wire/base-backup-sink.ts'
import type { FileIntake } from './file-intake.ts'
import type { FileHead, RecordedFile } from './file-record.ts'
import { type AnnouncedFile, type ChosenIntake, IntakeChoice } from './intake-choice.ts'
import { buildMachinery, type Machinery } from './machinery.ts'
import { MadeManifest } from './made-manifest.ts'
import { ManifestCheck } from './manifest-check.ts'
import { type FedManifest, ManifestFeed } from './manifest-feed.ts'
import { PartWriter } from './part-writer.ts'
import type { ReceiveOptions } from './receive-options.ts'

/** Says among other things what kind of server the backup was taken from. */
const BACKUP_LABEL = 'backup_label'

/** Describes all files but itself. */
const BACKUP_MANIFEST = 'backup_manifest'

/** Progress is reported every so many bytes. */
const PROGRESS_BYTES = 4 * 1024 * 1024

/** What came in, all of it durable. */
export interface ReceivedBackup extends FedManifest {
  readonly start: BaseBackupStart
  readonly end: BaseBackupEnd
  /** New packs. */
  readonly packs: readonly WrittenPack[]
  /** Bytes of files as the server sent them. */
  readonly receivedBytes: number
  /** Bytes newly stored, before compression. */
  readonly changedBytes: number
  readonly serverManifest: boolean
  /** What the server was when the backup began. */
  readonly role: 'primary' | 'standby'
  /** Whether it was known to where relations were cut since the reference. */
  readonly knewLimits: boolean
}

interface Writers {
  readonly manifest: ManifestWriter
  readonly pageCrcs: PageCrcWriter
}

/** The file that is coming in. */
interface CurrentFile extends ChosenIntake {
  readonly file: AnnouncedFile
  /** Of the bytes sent; kept only for files that are stored with other bytes. */
  sentCrc: number
}

/** The sink of one base backup. Call `finish` after the stream; dispose always. */
export class BackupReceiver implements BaseBackupSink, AsyncDisposable {
  readonly #options: ReceiveOptions
  readonly #machinery: Machinery
  readonly #writers: Writers
  readonly #feed: ManifestFeed
  readonly #choice: IntakeChoice
  readonly #parts: PartWriter | undefined
  readonly #check = new ManifestCheck()
  readonly #received = { bytes: 0, files: 0, reportedBytes: 0 }
  #start: BaseBackupStart | undefined
  #end: BaseBackupEnd | undefined
  #current: CurrentFile | undefined
  #serverManifest: FileIntake | undefined
  #hasServerManifest = false
  readonly #made: MadeManifest | undefined
  #label = Buffer.alloc(0)

  private constructor(options: ReceiveOptions, writers: Writers) {
    const limitLsn = () => this.#start?.startLsn ?? INVALID_LSN
    this.#options = options
    const { cluster, id } = options
    if (options.parts !== undefined)
      this.#parts = new PartWriter({ cluster, id, startLsn: limitLsn })
    this.#machinery = buildMachinery(options, limitLsn, this.#packParts())
    // What the server says of incremental files is of no use to whoever gets whole ones; of files
    // that are read it says nothing.
    if (options.method === 'incremental' || options.makesManifest === true) {
      this.#made = new MadeManifest(namedSystem(options))
    }
    this.#writers = writers
    this.#feed = new ManifestFeed(writers.manifest, writers.pageCrcs)
    const { packer, window } = this.#machinery
    const recorded = (file: RecordedFile, asSent: boolean) => this.#recorded(file, asSent)
    const placed = this.#parts?.placed.bind(this.#parts)
    this.#choice = new IntakeChoice(options, { packer, window, limitLsn, recorded, placed })
  }

  /** Begins packs and manifest of a backup; the caller holds the catalogue's lock. */
  static async create(options: ReceiveOptions): Promise<BackupReceiver> {
    const { store, names } = options.cluster
    const manifest = await ManifestWriter.create(store, names, options.id)
    const pageCrcs = await PageCrcWriter.create(store, names, options.id)
    return new BackupReceiver(options, { manifest, pageCrcs })
  }

  begin(start: BaseBackupStart): void {
    this.#start = start
    this.#choice.begin(start)
  }

  entry(entry: BaseBackupEntry): void | Promise<void> {
    const path = fullPath(entry)
    const { mode, modifiedAtMs, sizeBytes } = entry
    if (entry.kind === 'directory') this.#feed.add({ kind: 'directory', path, mode })
    if (entry.kind === 'link') {
      this.#feed.add({ kind: 'link', path, mode, target: entry.target ?? '' })
    }
    if (entry.kind !== 'file') return this.#feed.ready()
    const file = { path, mode, modifiedAtMs, sizeBytes }
    this.#received.files += 1
    const chosen = this.#choice.choose(file)
    if (chosen instanceof Promise) return this.#beginLater(file, chosen)
    this.#begin(file, chosen)
    return this.#feed.ready()
  }

  data(chunk: Uint8Array): void | Promise<void> {
    const current = this.#current
    if (current === undefined) throw new BackstayError('BUG', 'Data came without a file')
    this.#count(chunk.byteLength)
    if (current.file.path === BACKUP_LABEL) this.#label = Buffer.concat([this.#label, chunk])
    if (current.isTransformed) current.sentCrc = crc32c(asBuffer(chunk), current.sentCrc)
    return current.intake.data(chunk)
  }

  /**
   * A file that is read here, instead of `entry`, `data` and `endFile`. `done` is called when the
   * descriptor is not needed any more.
   */
  async readFile(
    file: AnnouncedFile,
    descriptor: number,
    done: () => Promise<void>,
  ): Promise<void> {
    this.#received.files += 1
    await this.#choice.read(file, descriptor, done)
    this.#count(file.sizeBytes)
    await this.#feed.ready()
  }

  /** Resolves when all that came in lies in packs. */
  async flush(): Promise<void> {
    await this.#machinery.packer.flush()
  }

  endFile(): void | Promise<void> {
    const current = this.#current
    if (current === undefined) return
    this.#current = undefined
    if (current.isTransformed) {
      this.#check.file(current.file.path, current.file.sizeBytes, current.sentCrc)
    }
    return current.intake.end()
  }

  manifest(chunk: Uint8Array): void | Promise<void> {
    this.#hasServerManifest = true
    this.#check.manifest(chunk)
    if (this.#made !== undefined) return
    this.#serverManifest ??= this.#choice.unannounced(this.#manifestFacts(), undefined)
    return this.#serverManifest.data(chunk)
  }

  end(end: BaseBackupEnd): void {
    this.#end = end
  }

  /**
   * Makes everything that came in durable.
   * @throws {BackstayError} POSTGRES_PROTOCOL when it is not what the server's manifest says;
   * DISK_SPACE, STORE.
   */
  async finish(): Promise<ReceivedBackup> {
    const { packer, packs } = this.#machinery
    const start = this.#start
    const end = this.#end
    if (start === undefined || end === undefined) throw new BackstayError('BUG', 'No stream ended')
    await this.#choice.finish()
    await this.#serverManifest?.end()
    await packer.flush()
    if (this.#made !== undefined) await this.#storeMade(this.#made, start, end)
    const written = await packs.finish()
    await this.#parts?.finish()
    if (this.#hasServerManifest) this.#check.finish()
    this.#report()
    return {
      ...(await this.#feed.finish()),
      start,
      end,
      packs: written,
      receivedBytes: this.#received.bytes,
      changedBytes: packer.rawBytes,
      serverManifest: this.#serverManifest !== undefined || this.#made !== undefined,
      knewLimits: this.#options.limits !== undefined,
      role: /^BACKUP FROM: standby$/m.test(this.#label.toString('latin1')) ? 'standby' : 'primary',
    }
  }

  /** After the stream broke off: makes what came in durable for the next one to go on with. */
  async keep(): Promise<void> {
    if (this.#parts === undefined || this.#start === undefined) return
    await this.#machinery.packer.flush()
    await this.#machinery.packs.finish()
    await this.#parts.finish()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#machinery[Symbol.asyncDispose]()
    await this.#writers.manifest[Symbol.asyncDispose]()
    await this.#writers.pageCrcs[Symbol.asyncDispose]()
  }

  #packParts(): PackParts | undefined {
    const { parts, cluster } = this.#options
    if (parts === undefined) return undefined
    const closed = (pack: WrittenPack) => this.#parts?.closed(pack)
    return { clock: cluster.clock, packMs: parts.packMs, closed }
  }

  async #beginLater(file: AnnouncedFile, chosen: Promise<ChosenIntake>): Promise<void> {
    this.#begin(file, await chosen)
    await this.#feed.ready()
  }

  #begin(file: AnnouncedFile, chosen: ChosenIntake): void {
    this.#current = { ...chosen, file, sentCrc: 0 }
  }

  #recorded(recorded: RecordedFile, asSent: boolean): void {
    const { file } = recorded
    if (asSent) this.#check.file(file.path, file.sizeBytes, file.crc32c ?? 0)
    if (file.path !== BACKUP_MANIFEST) this.#made?.add(file)
    this.#feed.file(recorded)
  }

  /** After every other file is recorded. */
  async #storeMade(
    made: MadeManifest,
    { timeline, startLsn }: BaseBackupStart,
    { endLsn }: BaseBackupEnd,
  ): Promise<void> {
    const intake = this.#choice.unannounced(this.#manifestFacts(), undefined)
    for (const piece of made.end({ timeline, startLsn, endLsn })) await intake.data(piece)
    await intake.end()
    await this.#machinery.packer.flush()
  }

  #manifestFacts(): FileHead {
    const modifiedAtMs = this.#options.cluster.clock.now()
    return { path: BACKUP_MANIFEST, mode: 0o600, modifiedAtMs }
  }

  #count(bytes: number): void {
    this.#received.bytes += bytes
    if (this.#received.bytes - this.#received.reportedBytes >= PROGRESS_BYTES) this.#report()
  }

  #report(): void {
    const { bytes, files } = this.#received
    this.#received.reportedBytes = bytes
    const sizes = this.#start?.tablespaces.map((tablespace) => tablespace.sizeBytes) ?? []
    const totalBytes = sizes.every((size) => size !== undefined)
      ? sizes.reduce((sum, size) => sum + size, 0)
      : undefined
    this.#options.onProgress?.({ receivedBytes: bytes, totalBytes, files })
  }
}

/** What the manifest of a server of its version would name. */
function namedSystem({ cluster }: ReceiveOptions): string | undefined {
  const { systemIdentifier, major } = cluster.identity
  return versionFacts(major).manifestNamesSystem ? systemIdentifier : undefined
}

/** Relative to the data directory, for files of tablespaces too. */
function fullPath(entry: BaseBackupEntry): string {
  if (entry.tablespaceOid === undefined) return entry.path
  return entry.path === ''
    ? `pg_tblspc/${entry.tablespaceOid}`
    : `pg_tblspc/${entry.tablespaceOid}/${entry.path}`
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}
