/**
 * The values that answer through a pipe, as text: JSON that also knows bigint, Map and undefined.
 * Whoever is at the other end has written it, so reading it takes memory in proportion to its
 * length. (Node's own serialization does not: a few bytes name an array of millions.)
 */

/** Brackets and commas of one value, of which a name in a list takes one. */
const MARKS_MAX = 1_000_000
/** `{`, `[` and `,`. */
const MARKS: readonly number[] = [0x7b, 0x5b, 0x2c]
/** An object with one of these is no object. */
const BIGINT = '$bigint'
const MAP = '$map'
/** 64 bits, and a sign. */
const INTEGER = /^-?\d{1,20}$/

/**
 * Plain data: what JSON knows, bigint of 64 bits, Map. A key whose value is undefined is left out.
 */
export function encodeValue(value: unknown): Buffer {
  return value === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(value, spelled))
}

function spelled(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { [BIGINT]: value.toString() }
  return value instanceof Map ? { [MAP]: [...value] } : value
}

/**
 * The value that `encodeValue` wrote.
 * @throws {Error} when it is none, or has more parts than an answer comes to
 */
export function decodeValue(text: Buffer): unknown {
  if (text.length === 0) return undefined
  if (MARKS.reduce((sum, mark) => sum + countOf(text, mark), 0) > MARKS_MAX) {
    throw new RangeError('It has too many parts')
  }
  return meant(JSON.parse(text.toString()))
}

function countOf(text: Buffer, mark: number): number {
  let count = 0
  for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + 1)) {
    count += 1
    if (count > MARKS_MAX) break
  }
  return count
}

/** Changes `value`, which JSON has made and nobody else knows. */
function meant(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const parts = value as Record<string, unknown>
  for (const key of Object.keys(parts)) {
    if (typeof parts[key] === 'object') parts[key] = meant(parts[key])
  }
  const { [BIGINT]: integer, [MAP]: pairs } = parts
  if (typeof integer === 'string' && INTEGER.test(integer)) return BigInt(integer)
  return Array.isArray(pairs) ? new Map(pairs as [unknown, unknown][]) : value
}
