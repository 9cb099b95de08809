/**
 * Chooses how a file of the stream is taken in: whole, by page LSN, or as an incremental file.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { BlockRun } from '../../postgres/block-set.ts'
import type { Lsn } from '../../postgres/lsn.ts'
import type { UnitPiece, UnitPacker } from '../../repository/unit-packer.ts'
import { firstBlockOfPath, parseRelationPath } from '../../postgres/relation-path.ts'
import type { BaseBackupStart } from '../../wire/base-backup-sink.ts'
import { parseIncrementalPath } from '../incremental-path.ts'
import { BackupLabelIntake } from './backup-label-intake.ts'
import { EmptiedPacks } from './emptied-packs.ts'
import type { FileIntake } from './file-intake.ts'
import { type FileHead, FileRecord, type RecordedFile } from './file-record.ts'
import { IncrementalIntake } from './incremental-intake.ts'
import { PageLsnIntake } from './page-lsn-intake.ts'
import type { PageWindow } from './page-window.ts'
import { PlainIntake } from './plain-intake.ts'
import { readMapped } from './mapped-intake.ts'
import { pagesToRead } from './pages-to-read.ts'
import { readWhole } from './read-intake.ts'
import type { ReferenceFile } from './reference-files.ts'
import type { OpenReference, ReceiveOptions } from './receive-options.ts'
import type { LimitOf } from './relation-limits.ts'
import { VisibilityMaps } from './visibility-maps.ts'

/** A file of the stream before its bytes. */
export interface AnnouncedFile extends FileHead {
  /** As sent. */
  readonly sizeBytes: number
}

/** The intake that takes a file's bytes, and how far they are the file's. */
export interface ChosenIntake {
  readonly intake: FileIntake
  /** The bytes sent are not the bytes of the file as it will be restored. */
  readonly isTransformed: boolean
}

/** What all intakes of one backup share. */
export interface IntakeTools {
  readonly packer: UnitPacker
  readonly window: PageWindow
  readonly limitLsn: () => Lsn
  /** `asSent`: the recorded bytes are those the server sent. */
  readonly recorded: (recorded: RecordedFile, asSent: boolean) => void
  /** Told of each piece that lies in a pack; undefined when nobody asks. */
  readonly placed: ((path: string, piece: UnitPiece) => void) | undefined
}

/** Times of files are whole seconds here. */
const MODIFIED_SLACK_MS = 2000

/** Makes the intakes of one backup. */
export class IntakeChoice {
  readonly #options: ReceiveOptions
  readonly #tools: IntakeTools
  readonly #emptied: EmptiedPacks
  readonly #maps: VisibilityMaps
  #limits: Promise<LimitOf> | undefined

  constructor(options: ReceiveOptions, tools: IntakeTools) {
    this.#options = options
    this.#tools = tools
    this.#maps = new VisibilityMaps(options.dataChecksums)
    this.#emptied = new EmptiedPacks(options.reference?.emptying ?? { packs: [], budgetBytes: 0 })
  }

  /** The intake for the next file; a promise when the reference must be asked. */
  choose(file: AnnouncedFile): ChosenIntake | Promise<ChosenIntake> {
    const { reference, method } = this.#options
    if (reference !== undefined && method === 'incremental') {
      const path = parseIncrementalPath(file.path)
      if (path !== undefined) return this.#incremental({ ...file, path }, reference)
      if (file.path === 'backup_label') return this.#backupLabel(file)
      this.#maps.changed.addWhole(file.path, file.sizeBytes)
    }
    if (reference !== undefined && method !== 'incremental' && file.sizeBytes > 0) {
      if (parseRelationPath(file.path)?.fork === 'main') return this.#byPageLsn(file, reference)
    }
    return this.#plain(file)
  }

  /** Before the first file. */
  begin(start: BaseBackupStart): void {
    this.#limits = this.#options.limits?.(start)
    // Who needs them waits for them; a stream without incremental files does not.
    this.#limits?.catch(() => undefined)
  }

  /** After the last file: closes those that waited for it. */
  finish(): Promise<void> {
    return this.#maps.finish()
  }

  /** Stores a file that the server did not announce, or not with this content. */
  unannounced(file: FileHead, sizeBytes: number | undefined): FileIntake {
    const content = { sizeBytes, paged: false, firstBlock: undefined }
    return new PlainIntake(this.#tools.packer, this.#record(file, false), content)
  }

  /**
   * Reads a file here instead of being given its bytes; `done` is called when its descriptor is not
   * needed any more.
   */
  async read(file: AnnouncedFile, descriptor: number, done: () => Promise<void>): Promise<void> {
    const { reference, pace } = this.#options
    const isCompared = file.sizeBytes > 0 && parseRelationPath(file.path) !== undefined
    const known = isCompared ? await reference?.files.find(file.path) : undefined
    const runs = known && this.#runsOf(file, known)
    if (reference !== undefined && known !== undefined && runs === undefined) {
      await this.#pageLsnIntake(file, reference, known).read(descriptor, pace)
      return await done()
    }
    const firstBlock = firstBlockOfPath(file.path)
    const record = this.#record(file, true, () => {
      // A descriptor that cannot be closed is no fault of the backup.
      done().catch(() => undefined)
    })
    const judged = this.#options.dataChecksums ? firstBlock : undefined
    const common = { descriptor, sizeBytes: file.sizeBytes, firstBlock: judged, pace }
    const { packer } = this.#tools
    if (known === undefined || runs === undefined) {
      return await readWhole(packer, record, { ...common, paged: firstBlock !== undefined })
    }
    const emptied = this.#emptied
    await readMapped(packer, record, { ...common, runs, reference: known, emptied })
  }

  /** What WAL names of a file; undefined when every page of it is to be compared. */
  #runsOf(file: AnnouncedFile, known: ReferenceFile): readonly BlockRun[] | undefined {
    const { mapped } = this.#options
    if (mapped === undefined) return undefined
    const { path, sizeBytes, modifiedAtMs } = file
    const sizes = { path, sizeBytes, referenceBytes: known.file.sizeBytes }
    const runs = pagesToRead(sizes, mapped.map)
    if (runs === 'all') return undefined
    // Bits that no WAL tells of, or somebody who is no PostgreSQL.
    const isStrange = runs.length === 0 && modifiedAtMs >= mapped.sinceMs - MODIFIED_SLACK_MS
    return isStrange ? undefined : runs
  }

  #plain(file: AnnouncedFile): ChosenIntake {
    const firstBlock = firstBlockOfPath(file.path)
    const intake = new PlainIntake(this.#tools.packer, this.#record(file, true), {
      sizeBytes: file.sizeBytes,
      paged: firstBlock !== undefined,
      firstBlock: this.#options.dataChecksums ? firstBlock : undefined,
    })
    return { intake, isTransformed: false }
  }

  #record(file: FileHead, asSent: boolean, settled?: () => void): FileRecord {
    const { path, mode, modifiedAtMs } = file
    const done = (recorded: RecordedFile): void => {
      settled?.()
      this.#tools.recorded(recorded, asSent)
    }
    return new FileRecord({ path, mode, modifiedAtMs }, done, this.#tools.placed)
  }

  #backupLabel(file: AnnouncedFile): ChosenIntake {
    const intake = new BackupLabelIntake(async (content) => {
      const plain = this.unannounced(file, content.length)
      await plain.data(content)
      await plain.end()
    })
    return { intake, isTransformed: true }
  }

  async #byPageLsn(file: AnnouncedFile, reference: OpenReference): Promise<ChosenIntake> {
    const known = await reference.files.find(file.path)
    if (known === undefined) return this.#plain(file)
    return { intake: this.#pageLsnIntake(file, reference, known), isTransformed: false }
  }

  #pageLsnIntake(
    file: AnnouncedFile,
    reference: OpenReference,
    known: ReferenceFile,
  ): PageLsnIntake {
    return new PageLsnIntake({
      window: this.#tools.window,
      packer: this.#tools.packer,
      record: this.#record(file, true),
      reference: known,
      emptied: this.#emptied,
      changedSince: reference.startLsn,
      limitLsn: this.#tools.limitLsn(),
      firstBlock: firstBlockOfPath(file.path) ?? 0,
      checksums: this.#options.dataChecksums,
      sizeBytes: file.sizeBytes,
    })
  }

  async #incremental(file: AnnouncedFile, reference: OpenReference): Promise<ChosenIntake> {
    const known = await reference.files.find(file.path)
    if (known === undefined) {
      throw new BackstayError(
        'POSTGRES_PROTOCOL',
        `Cannot use the incremental file of "${file.path}": the reference backup has no such file`,
      )
    }
    const limitOf = await this.#limits
    const intake = new IncrementalIntake({
      packer: this.#tools.packer,
      record: this.#record(file, false),
      reference: known,
      emptied: this.#emptied,
      packs: reference.packs,
      firstBlock: firstBlockOfPath(file.path) ?? 0,
      checksums: this.#options.dataChecksums,
      maps: this.#maps,
      limit: limitOf?.(file.path),
    })
    return { intake, isTransformed: true }
  }
}
