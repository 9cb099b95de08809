/**
 * Reads `backup_manifest` from pieces cut anywhere: a manifest of a million files never lies in
 * memory whole. Source: PostgreSQL documentation, "Backup Manifest Format";
 * src/common/parse_manifest.c.
 */
import { createHash, type Hash } from 'node:crypto'
import { BackstayError } from '../../src/errors/backstay-error.ts'
import type {
  BackupManifestFile,
  ManifestSummary,
  ManifestWalRange,
} from '../../src/postgres/backup-manifest.ts'
import { parseLsn } from '../../src/postgres/lsn.ts'

/** The most that is kept of one part until its end comes. */
const LIMITS = { head: 64 * 1024, between: 0, entry: 16 * 1024, tail: 16 * 1024 * 1024 } as const
/** A path has at most a thousand bytes (MAXPGPATH), each of which may be a brace. */
const BRACES_MAX = 1100
const NOTHING = Buffer.alloc(0)
const LINE_END = 0x0a
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** Up to the list of files, between two entries of it, inside an entry, after the list. */
type ManifestPart = keyof typeof LIMITS

/**
 * Iterate each `push` to its end, then call `finish`, which verifies the manifest's own checksum:
 * believe the files only after it returned. Both throw {BackstayError} POSTGRES_FILE_INVALID.
 */
export class BackupManifestReader {
  readonly #hash: Hash = createHash('sha256')
  #part: ManifestPart = 'head'
  /** What came of the current part. */
  #pending: Buffer = NOTHING
  /** Bytes of the entry that were looked through for its end, and braces met in them. */
  #searched = 0
  #braces = 0
  #tail: Buffer[] = []
  #tailBytes = 0
  #head = ''

  /**
   * The files whose entries end in `piece`, which follows those pushed before. The piece is free
   * when iterated.
   */
  push(piece: Uint8Array): Generator<BackupManifestFile, void> {
    return this.#read(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength))
  }

  /** Call once after the last piece. */
  finish(): ManifestSummary {
    if (this.#part !== 'tail') throw invalid('it ends before its list of files does')
    const tail = Buffer.concat(this.#tail)
    const lastLine = tail.lastIndexOf(LINE_END, tail.length - 2) + 1
    if (lastLine === 0 || tail.at(-1) !== LINE_END) throw invalid('its last line is missing')
    const checksum = this.#hash.update(tail.subarray(0, lastLine)).digest('hex')
    const document = parseJson(`${this.#head}]${tail.toString('utf8')}`)
    if (document['Manifest-Checksum'] !== checksum) {
      throw invalid('its checksum does not match its content')
    }
    return summarise(document, this.#head)
  }

  *#read(piece: Buffer): Generator<BackupManifestFile, void> {
    const kept = this.#pending.length
    const bytes = kept === 0 ? piece : Buffer.concat([this.#pending, piece])
    this.#pending = NOTHING
    let start = 0
    if (this.#part === 'head') start = this.#readHead(bytes)
    while (this.#part === 'between' || this.#part === 'entry') {
      if (this.#part === 'between') start = this.#findEntry(bytes, start)
      if (this.#part !== 'entry') break
      const entry = this.#readEntry(bytes, start)
      if (entry === undefined) break
      yield entry.file
      start = entry.end
      this.#part = 'between'
    }
    this.#hash.update(this.#part === 'tail' ? bytes.subarray(kept, start) : piece)
    this.#keep(bytes.subarray(start))
  }

  /**
   * Takes everything up to the list of files. Returns where the list begins, or 0 when it has not
   * come yet.
   */
  #readHead(bytes: Buffer): number {
    const end = bytes.indexOf(OPEN_BRACKET) + 1
    if (end > 0) {
      this.#head = bytes.toString('utf8', 0, end)
      this.#part = 'between'
    }
    return end
  }

  /**
   * Passes what separates entries. Returns where the next entry, the tail, or the unknown begins.
   */
  #findEntry(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at += 1) {
      if (bytes[at] === OPEN_BRACE) {
        this.#part = 'entry'
        return at
      }
      if (bytes[at] === CLOSE_BRACKET) {
        this.#part = 'tail'
        return at + 1
      }
    }
    return bytes.length
  }

  /**
   * The entry that begins at `start`; undefined when its end has not come yet. A brace inside a
   * path ends no entry: what stands before it is not JSON. Each brace is tried once, however the
   * bytes come.
   */
  #readEntry(bytes: Buffer, start: number): { file: BackupManifestFile; end: number } | undefined {
    let at = bytes.indexOf(CLOSE_BRACE, start + this.#searched)
    for (; at >= 0; at = bytes.indexOf(CLOSE_BRACE, at + 1)) {
      this.#braces += 1
      if (at - start > LIMITS.entry || this.#braces > BRACES_MAX) break
      const entry = tryParse(bytes.toString('utf8', start, at + 1))
      if (entry === undefined) continue
      this.#searched = 0
      this.#braces = 0
      return { file: parseEntry(entry), end: at + 1 }
    }
    if (at >= 0 || bytes.length - start > LIMITS.entry) throw invalid('an entry of it is too long')
    this.#searched = bytes.length - start
    return undefined
  }

  #keep(rest: Buffer): void {
    const isTail = this.#part === 'tail'
    if (isTail) this.#tail.push(Buffer.from(rest))
    else this.#pending = Buffer.from(rest)
    this.#tailBytes += isTail ? rest.length : 0
    if (Math.max(this.#tailBytes, this.#pending.length) > LIMITS[this.#part]) {
      throw invalid('a part of it is too long')
    }
  }
}

function parseEntry(entry: Readonly<Record<string, unknown>>): BackupManifestFile {
  const { Path: path, 'Encoded-Path': encoded, Size: size, 'Last-Modified': modified } = entry
  const algorithm = entry['Checksum-Algorithm']
  const hex = entry['Checksum']
  const isEncoded = typeof encoded === 'string'
  const name = isEncoded ? Buffer.from(encoded, 'hex').toString('latin1') : path
  if (typeof name !== 'string' || typeof size !== 'number') {
    throw invalid('a file in it has no path or no size')
  }
  return {
    path: name,
    ...(isEncoded && { isPathEncoded: true }),
    sizeBytes: size,
    modifiedAtMs: parseTime(modified),
    checksum:
      typeof algorithm === 'string' && typeof hex === 'string' ? { algorithm, hex } : undefined,
  }
}

function summarise(document: Readonly<Record<string, unknown>>, head: string): ManifestSummary {
  const version = document['PostgreSQL-Backup-Manifest-Version']
  if (version !== 1 && version !== 2) throw invalid(`its version ${String(version)} is unknown`)
  const ranges = document['WAL-Ranges']
  if (!Array.isArray(ranges)) throw invalid('it has no WAL ranges')
  return {
    version,
    // Taken from the text: the number does not fit a double.
    systemIdentifier: /"System-Identifier"\s*:\s*(\d+)/.exec(head)?.[1],
    walRanges: ranges.map((range) => parseRange(range as Record<string, unknown>)),
  }
}

function parseRange(range: Readonly<Record<string, unknown>>): ManifestWalRange {
  const startLsn = parseLsn(String(range['Start-LSN']))
  const endLsn = parseLsn(String(range['End-LSN']))
  const timeline = range['Timeline']
  if (startLsn === undefined || endLsn === undefined || typeof timeline !== 'number') {
    throw invalid('one of its WAL ranges is malformed')
  }
  return { timeline, startLsn, endLsn }
}

function parseJson(text: string): Readonly<Record<string, unknown>> {
  const value = tryParse(text)
  if (value === undefined) throw invalid('it is not JSON')
  return value
}

function tryParse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function parseTime(text: unknown): number {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) GMT$/.exec(String(text))
  const time = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}Z`)
  if (Number.isNaN(time)) throw invalid('a file in it has no modification time')
  return time
}

function invalid(problem: string): BackstayError {
  return new BackstayError('POSTGRES_FILE_INVALID', `Cannot read backup_manifest: ${problem}`)
}
