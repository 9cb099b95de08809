/**
 * Follows the server's answer to BASE_BACKUP and delivers it to a sink: result sets before and
 * after, archives as one COPY each (up to 14) or framed inside a single COPY (15+), the manifest
 * last. Source: PostgreSQL documentation, "Streaming Replication Protocol", BASE_BACKUP (11 and
 * 18).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { type Lsn, parseLsn } from '../postgres/lsn.ts'
import { isTooLong } from '../postgres/small-files.ts'
import { ArchiveFrames } from './archive-frames.ts'
import { decodeColumnNames, type ServerMessage } from './backend-messages.ts'
import type {
  BaseBackupEnd,
  BaseBackupSink,
  BaseBackupStart,
  BaseBackupTablespace,
} from './base-backup-sink.ts'
import { type Exchange, unexpectedMessage } from './conversation.ts'
import { BACKEND } from './message-types.ts'
import { type Row, rowOf } from './rows-exchange.ts'
import { TarReader } from '../postgres/tar/tar-reader.ts'

/** The most notices kept of one backup; the server sends one a broken page. */
const MAX_NOTICES = 1000
/** The most tablespaces of a cluster. */
const MAX_TABLESPACES = 10_000
/**
 * PostgreSQL sends the link to a tablespace in every base backup, and writes no longer one into an
 * archive (src/port/tar.c).
 */
const LONGEST_LOCATION_BYTES = 99
/** Result sets of the answer by their place; the first is the start position. */
const TABLESPACES_RESULT = 2
const END_RESULT = 3

/** What is known when a base backup is over. */
export interface BaseBackupResult {
  readonly start: BaseBackupStart
  readonly end: BaseBackupEnd
  /** What the server remarked meanwhile, e.g. checksum failures, the oldest thousand. */
  readonly notices: readonly ServerMessage[]
}

/** Receives the bytes of one COPY. */
interface CopyConsumer {
  push(bytes: Buffer): void | Promise<void>
  finish(): void
}

/** One base backup's answer. */
export class BaseBackupExchange implements Exchange {
  readonly action: string
  readonly #sink: BaseBackupSink
  readonly #framesArchives: boolean
  readonly #notices: ServerMessage[] = []
  readonly #tablespaces: BaseBackupTablespace[] = []
  #columns: readonly string[] = []
  #resultCount = 0
  #copyCount = 0
  #position: { lsn: Lsn; timeline: number } | undefined
  #start: BaseBackupStart | undefined
  #end: BaseBackupEnd | undefined
  #consumer: CopyConsumer | undefined
  #frames: ArchiveFrames | undefined

  constructor(action: string, sink: BaseBackupSink, options: { framesArchives: boolean }) {
    this.action = action
    this.#sink = sink
    this.#framesArchives = options.framesArchives
  }

  /** The result, once the exchange has run. */
  get result(): BaseBackupResult {
    if (this.#start === undefined || this.#end === undefined) {
      throw this.#violation('the answer is incomplete')
    }
    return { start: this.#start, end: this.#end, notices: this.#notices }
  }

  notice(notice: ServerMessage): void {
    if (this.#notices.length < MAX_NOTICES) this.#notices.push(notice)
  }

  message(type: number, payload: Buffer): void | Promise<void> {
    switch (type) {
      case BACKEND.rowDescription:
        this.#resultCount += 1
        this.#columns = decodeColumnNames(payload)
        return
      case BACKEND.dataRow:
        this.#row(rowOf(this.#columns, payload))
        return
      case BACKEND.commandComplete:
        return this.#resultComplete()
      case BACKEND.copyOutResponse:
        this.#beginArchiveCopy()
        return
      case BACKEND.copyDone:
        this.#consumer?.finish()
        this.#consumer = undefined
        return
      default:
        throw unexpectedMessage(this.action, type)
    }
  }

  copyBegin(length: number): void {
    if (this.#consumer === undefined) throw this.#violation('data came before its archive')
    this.#frames?.begin(length)
  }

  copyPiece(piece: Buffer): void | Promise<void> {
    return this.#consumer?.push(piece)
  }

  copyEnd(): void {
    this.#frames?.end()
  }

  #row(row: Row): void {
    if (this.#resultCount === TABLESPACES_RESULT) {
      if (this.#tablespaces.length >= MAX_TABLESPACES) throw this.#violation('too many tablespaces')
      const tablespace = tablespaceOf(row)
      if (!isOid(tablespace.oid ?? 1)) throw this.#violation('the oid of a tablespace is none')
      this.#tablespaces.push(tablespace)
      return
    }
    const lsn = parseLsn(row.get('recptr')?.toString() ?? '')
    const timeline = Number(row.get('tli')?.toString())
    if (lsn === undefined || !isOid(timeline)) {
      throw this.#violation('a position is malformed')
    }
    this.#position = { lsn, timeline }
  }

  /** CommandComplete follows each result set, and once more the whole command. */
  #resultComplete(): void | Promise<void> {
    const position = this.#position
    if (position === undefined) throw this.#violation('a result without a position')
    if (this.#resultCount === TABLESPACES_RESULT && this.#start === undefined) {
      const { lsn, timeline } = position
      for (const tablespace of this.#tablespaces) checkLocation(this.action, tablespace)
      this.#start = { startLsn: lsn, timeline, tablespaces: this.#tablespaces }
      return this.#sink.begin(this.#start)
    }
    if (this.#resultCount === END_RESULT && this.#end === undefined) {
      this.#end = { endLsn: position.lsn, timeline: position.timeline }
      return this.#sink.end(this.#end)
    }
  }

  #beginArchiveCopy(): void {
    if (this.#start === undefined) throw this.#violation('an archive came before its announcement')
    if (this.#framesArchives) {
      this.#frames = new ArchiveFrames({
        archive: (name) => this.#archive(oidOf(name)),
        manifest: () => this.#manifest(),
      })
      this.#consumer = this.#frames
      return
    }
    const tablespace = this.#tablespaces[this.#copyCount]
    this.#copyCount += 1
    this.#consumer = tablespace === undefined ? this.#manifest() : this.#archive(tablespace.oid)
  }

  #archive(tablespaceOid: number | undefined): CopyConsumer {
    return new TarReader({
      entry: (entry) => {
        if (entry.kind === 'file' && isTooLong(entry)) {
          throw this.#violation(
            `file "${entry.path}" of ${entry.sizeBytes} bytes is not PostgreSQL's`,
          )
        }
        return this.#sink.entry({ ...entry, tablespaceOid })
      },
      data: (chunk) => this.#sink.data(chunk),
      endFile: () => this.#sink.endFile(),
    })
  }

  #manifest(): CopyConsumer {
    return { push: (piece) => this.#sink.manifest(piece), finish: () => undefined }
  }

  #violation(why: string): BackstayError {
    return new BackstayError('POSTGRES_PROTOCOL', `${this.action}: ${why}`)
  }
}

/** What names files and folders: 32 bits, and not zero. So are timelines. */
function isOid(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value <= 0xffff_ffff
}

function tablespaceOf(row: Row): BaseBackupTablespace {
  const oid = row.get('spcoid')?.toString()
  const sizeKib = row.get('size')?.toString()
  return {
    oid: oid === undefined || oid === '' ? undefined : Number(oid),
    location: row.get('spclocation')?.toString(),
    sizeBytes: sizeKib === undefined ? undefined : Number(sizeKib) * 1024,
  }
}

/** The server would fail at the link, after most of the data. */
function checkLocation(action: string, { oid, location = '' }: BaseBackupTablespace): void {
  const lengthBytes = Buffer.byteLength(location)
  if (lengthBytes <= LONGEST_LOCATION_BYTES) return
  throw new BackstayError(
    'POSTGRES_LIMIT',
    `${action}: the location of tablespace ${oid} has ${lengthBytes} bytes, and PostgreSQL sends none of more than ${LONGEST_LOCATION_BYTES}: "${location}"`,
    {
      hint: `Give it a shorter path: stop the server, rename or bind-mount the directory, and point the link pg_tblspc/${oid} in its data directory there.`,
      details: { oid, location, lengthBytes },
    },
  )
}

/** `base.tar` is the data directory, `16384.tar` a tablespace. */
function oidOf(archiveName: string): number | undefined {
  const oid = /^(\d+)\.tar$/.exec(archiveName)?.[1]
  return oid === undefined ? undefined : Number(oid)
}
