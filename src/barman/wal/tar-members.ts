/**
 * Reads a tar stream of a few files into memory: what a WAL client sends. PAX and GNU long names
 * are understood. Whoever sends it is not trusted: sizes and counts have limits, and nothing is
 * returned before the stream has ended as it should. Source: POSIX.1-2008 "pax Interchange Format",
 * "ustar Interchange Format".
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { MOST_SEGMENT_BYTES } from '../../postgres/segment-name.ts'
import { TAR_BLOCK_BYTES } from '../../postgres/tar/tar-header.ts'

/** One file of the stream. */
export interface TarMember {
  readonly name: string
  /** tar's letter: `0` is a regular file. */
  readonly type: string
  readonly content: Buffer
}

/**
 * Of everything together: a client sends one file and its sum. With client-side compression it can
 * be a little more than a segment.
 */
const MOST_BYTES = MOST_SEGMENT_BYTES + 1024 ** 2
/** Of a name, or of what else a header of PAX says. */
const MOST_NAME_BYTES = 64 * 1024
/** Those of names count as well. */
const MOST_HEADERS = 64
/** PAX for all that follows, PAX for the next, GNU's long name. */
const SAYING: ReadonlySet<string> = new Set(['g', 'x', 'L'])

/**
 * @throws {BackstayError} WAL_INVALID with Barman's words: `empty file`, `unexpected end of data`,
 * …
 */
export async function readTarMembers(stream: AsyncIterable<Buffer>): Promise<TarMember[]> {
  const source = new ByteSource(stream)
  const members: TarMember[] = []
  let longName: string | undefined
  let total = 0
  for (let headers = 0; ; headers += 1) {
    const header = await source.take(TAR_BLOCK_BYTES, headers === 0)
    if (header.every((byte) => byte === 0)) break
    const { name, type, bytes } = readHeader(header)
    total += bytes
    const most = SAYING.has(type) ? MOST_NAME_BYTES : MOST_BYTES
    if (headers >= MOST_HEADERS || bytes > most || total > MOST_BYTES) throw broken('too much data')
    const content = await source.take(bytes, false)
    await source.take((TAR_BLOCK_BYTES - (bytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES, false)
    if (type === 'g') continue
    if (type === 'x' || type === 'L') {
      longName = type === 'x' ? (paxPath(content) ?? longName) : text(content)
      continue
    }
    members.push({ name: longName ?? name, type: type === '\0' ? '0' : type, content })
    longName = undefined
  }
  await source.drain()
  return members
}

function readHeader(header: Buffer): { name: string; type: string; bytes: number } {
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0)
  if (sum !== octal(header, 148, 8)) throw broken('invalid header')
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? field(header, 345, 155) : ''
  const name = field(header, 0, 100)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    type: header.toString('latin1', 156, 157),
    bytes: octal(header, 124, 12),
  }
}

function field(header: Buffer, at: number, length: number): string {
  return text(header.subarray(at, at + length))
}

/** Up to the first NUL. */
function text(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
}

function octal(header: Buffer, at: number, length: number): number {
  const digits = field(header, at, length).trim()
  if (/^[0-7]+$/.test(digits)) return Number.parseInt(digits, 8)
  throw broken('invalid header')
}

/** The `path` record of a PAX header. */
function paxPath(content: Buffer): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(content.toString('utf8'))?.[1]
}

/** Hands out a stream in pieces of wanted lengths. */
class ByteSource {
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)
  #isFirst = true

  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  /** Exactly `bytes` bytes. `mayBeFirst`: an end right here means that nothing was sent at all. */
  async take(bytes: number, mayBeFirst: boolean): Promise<Buffer> {
    if (bytes === 0) return Buffer.alloc(0)
    const piece = Buffer.allocUnsafe(bytes)
    let filled = 0
    while (filled < bytes) {
      if (this.#rest.length === 0 && !(await this.#fill())) {
        throw broken(mayBeFirst && this.#isFirst ? 'empty file' : 'unexpected end of data')
      }
      const part = this.#rest.subarray(0, bytes - filled)
      part.copy(piece, filled)
      filled += part.length
      this.#rest = this.#rest.subarray(part.length)
    }
    this.#isFirst = false
    return piece
  }

  /** Reads what follows the end, so that the sender does not meet a closed pipe. */
  async drain(): Promise<void> {
    this.#rest = Buffer.alloc(0)
    while (await this.#fill()) this.#rest = Buffer.alloc(0)
  }

  async #fill(): Promise<boolean> {
    const next = await this.#chunks.next()
    if (next.done === true) return false
    this.#rest = next.value
    this.#isFirst &&= next.value.length === 0
    return true
  }
}

function broken(why: string): BackstayError {
  return new BackstayError('WAL_INVALID', why, {
    hint: 'The client died or the connection broke; it will send the file again.',
  })
}
