/**
 * Unpacks Snappy's framed streams, which clients of Barman can send. Every length is bounded and
 * every checksum compared. Source: Snappy's format description and framing format description
 * (google/snappy, format_description.txt, framing_format.txt).
 */
import { crc32c } from '@node-rs/crc32'

const COMPRESSED = 0x00
const UNCOMPRESSED = 0x01
const FIRST_SKIPPABLE = 0x80
const STREAM_IDENTIFIER = 'sNaPpY'
const IDENTIFIER = 0xff
const MOST_CHUNK_BYTES = 65_536
const CRC_BYTES = 4
const MASK_DELTA = 0xa282ead8

/**
 * The content of a framed stream.
 * @throws {Error} when it is damaged or has more than `mostBytes`.
 */
export function unpackSnappy(stream: Buffer, mostBytes: number): Buffer {
  const parts: Buffer[] = []
  let [at, bytes] = [0, 0]
  while (at < stream.length) {
    if (at + 4 > stream.length) throw new Error('it ends in a chunk')
    const type = stream[at] ?? 0
    const length = stream.readUIntLE(at + 1, 3)
    const chunk = stream.subarray(at + 4, at + 4 + length)
    if (chunk.length < length) throw new Error('it ends in a chunk')
    const part = unpackChunk(type, chunk)
    bytes += part?.length ?? 0
    if (bytes > mostBytes) throw new Error(`it has more than ${mostBytes} bytes`)
    if (part !== undefined) parts.push(part)
    at += 4 + length
  }
  return Buffer.concat(parts)
}

/** Undefined for chunks that hold no content. */
function unpackChunk(type: number, chunk: Buffer): Buffer | undefined {
  if (type === IDENTIFIER) {
    if (chunk.toString('latin1') === STREAM_IDENTIFIER) return undefined
    throw new Error('it is no Snappy stream')
  }
  if (type >= FIRST_SKIPPABLE) return undefined
  if (type !== COMPRESSED && type !== UNCOMPRESSED) throw new Error(`chunk type ${type} is unknown`)
  if (chunk.length < CRC_BYTES) throw new Error('a chunk has no checksum')
  const body = chunk.subarray(CRC_BYTES)
  const content = type === COMPRESSED ? unpackBlock(body) : body
  if (maskedCrc(content) !== chunk.readUInt32LE(0)) throw new Error('a checksum is wrong')
  return content
}

function maskedCrc(content: Buffer): number {
  const crc = crc32c(content)
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0
}

/** One block: literals, and copies of what came before. */
function unpackBlock(block: Buffer): Buffer {
  const head = readVarint(block)
  if (head.value > MOST_CHUNK_BYTES) throw new Error('a chunk is too long')
  const content = Buffer.alloc(head.value)
  let [at, filled] = [head.bytes, 0]
  while (at < block.length) {
    const element = readElement(block, at)
    const { length, offset } = element
    at = element.end
    if (filled + length > content.length) throw new Error('a chunk is longer than it says')
    if (offset === undefined) {
      block.copy(content, filled, at, at + length)
      at += length
    } else {
      copyWithin(content, filled, { offset, length })
    }
    filled += length
  }
  if (filled !== content.length || at !== block.length)
    throw new Error('a chunk is shorter than it says')
  return content
}

function readVarint(block: Buffer): { value: number; bytes: number } {
  let value = 0
  for (let index = 0; index < 5; index += 1) {
    const byte = block[index]
    if (byte === undefined) break
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, bytes: index + 1 }
  }
  throw new Error('a length is malformed')
}

interface Element {
  readonly length: number
  /** How far back a copy begins; undefined for literals, whose bytes follow. */
  readonly offset: number | undefined
  /** Where the element's head ends. */
  readonly end: number
}

function readElement(block: Buffer, at: number): Element {
  const tag = block[at] ?? 0
  const upper = tag >>> 2
  const kind = tag & 3
  if (kind === 0) {
    const extra = Math.max(0, upper - 59)
    const length = (extra === 0 ? upper : readNumber(block, at + 1, extra)) + 1
    return { length, offset: undefined, end: at + 1 + extra }
  }
  if (kind === 1) {
    const offset = ((tag >>> 5) << 8) | readNumber(block, at + 1, 1)
    return { length: (upper & 7) + 4, offset, end: at + 2 }
  }
  const width = kind === 2 ? 2 : 4
  return { length: upper + 1, offset: readNumber(block, at + 1, width), end: at + 1 + width }
}

function readNumber(block: Buffer, at: number, width: number): number {
  if (at + width > block.length) throw new Error('a chunk ends too early')
  return block.readUIntLE(at, width)
}

/** A copy may overlap what it writes: then it repeats. */
function copyWithin(
  content: Buffer,
  to: number,
  { offset, length }: { readonly offset: number; readonly length: number },
): void {
  if (offset === 0 || offset > to) throw new Error('a copy begins before the chunk')
  for (let index = to; index < to + length; index += 1)
    content[index] = content[index - offset] ?? 0
}
