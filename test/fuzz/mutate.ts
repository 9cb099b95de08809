/**
 * Hostile inputs out of right ones: bytes flipped, cut, repeated, lengths exaggerated, words of the grammar piled up.
 */
import type { Random } from '../torture/random.ts'

/** Longest input: a scanner that is not linear takes seconds for it. */
export const INPUT_BYTES_MAX = 160 * 1024

const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff]
const PIECES = [
  '\0',
  '\n',
  '\r',
  '\r\n',
  ' ',
  '\t',
  "'",
  '"',
  '\\',
  "\\'",
  "''",
  ',',
  ':',
  '=',
  '#',
  '@',
  '/',
  '../',
  '%',
  '%2f',
  '$',
  '&',
  '*',
  '!',
  '[',
  ']',
  '{',
  '}',
  '(',
  ')',
  '-',
  '+',
  '.',
  ';',
  '|',
  '9'.repeat(20),
  '-1',
  '1e999',
  'NaN',
  '__proto__',
  'constructor',
  '\u001b[2J',
  '\u202e',
  '\ufffd',
]

/** An input made of one of `seeds` and of `words`. */
export function mutate(random: Random, seeds: readonly Buffer[], words: readonly string[]): Buffer {
  let bytes = Buffer.from(random.pick(seeds))
  const pieces = [...PIECES, ...words]
  for (let round = random.between(0, 4); round >= 0; round -= 1) {
    bytes = Buffer.from(changed(random, bytes, pieces)).subarray(0, INPUT_BYTES_MAX)
  }
  return bytes
}

function changed(random: Random, bytes: Buffer, pieces: readonly string[]): Buffer {
  const at = random.between(0, bytes.length)
  const until = random.between(at, Math.min(bytes.length, at + 64))
  const insert = (what: Buffer): Buffer =>
    Buffer.concat([bytes.subarray(0, at), what, bytes.subarray(random.chance(0.5) ? until : at)])
  switch (random.between(0, 7)) {
    case 0:
      return flipped(random, bytes)
    case 1:
      return bytes.subarray(0, at)
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(until)])
    case 3:
      return insert(Buffer.from(random.pick(pieces)))
    case 4:
      return insert(numberOf(random))
    case 5:
      return insert(repeated(Buffer.from(bytes.subarray(at, until)), random))
    case 6:
      // Alternating pieces find scanners that look for an end from each place.
      return insert(repeated(Buffer.from(random.pick(pieces) + random.pick(pieces)), random))
    default:
      return Buffer.concat([bytes, repeated(Buffer.from(random.pick(pieces)), random)])
  }
}

function flipped(random: Random, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  for (let count = random.between(1, 8); count > 0 && copy.length > 0; count -= 1) {
    copy[random.between(0, copy.length - 1)] = random.between(0, 255)
  }
  return copy
}

function numberOf(random: Random): Buffer {
  const bytes = Buffer.alloc(4)
  const value = random.pick(NUMBERS)
  if (random.chance(0.5)) bytes.writeUInt32BE(value)
  else bytes.writeUInt32LE(value)
  return bytes
}

function repeated(piece: Buffer, random: Random): Buffer {
  if (piece.length === 0) return piece
  const times = random.chance(0.1) ? INPUT_BYTES_MAX / piece.length : random.between(1, 40)
  return Buffer.alloc(Math.floor(times) * piece.length, piece)
}
