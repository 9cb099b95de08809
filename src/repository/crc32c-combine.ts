/**
 * The CRC-32C of two joined pieces from the pieces' CRCs, without their bytes: pieces are hashed in
 * several threads. Appending n zero bytes multiplies the CRC by x^(8n) modulo the polynomial, in
 * GF(2).
 */

/** The Castagnoli polynomial, bits reversed. */
const POLYNOMIAL = 0x82f63b78

/** x^0, bits reversed. */
const ONE = 0x80000000

/** The CRC-32C of one byte, which is zero. */
const ZERO = 0x527d5351

/** x^(2^n) for n from 0. */
const POWERS = makePowers()

/** CRC-32C of A followed by B, given both CRCs and the length of B in bytes. */
export function combineCrc32c(crcA: number, crcB: number, lengthB: number): number {
  return (multiply(zeroBytes(lengthB), crcA) ^ crcB) >>> 0
}

/** The CRC-32C of so many zeros, which need not be there. */
export function crc32cOfZeros(length: number): number {
  let crc = 0
  let [piece, bytes] = [ZERO, 1]
  for (let rest = length; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) crc = combineCrc32c(crc, piece, bytes)
    piece = combineCrc32c(piece, piece, bytes)
    bytes *= 2
  }
  return crc
}

/** `combineCrc32c` for a B of always the same length, whose CRC the caller adds with XOR. Costs four look-ups a call, and a
 * table of 1024 products once. */
export function crc32cShift(lengthB: number): (crcA: number) => number {
  const factor = zeroBytes(lengthB)
  const table = new Uint32Array(4 * 256)
  for (let byte = 0; byte < 4; byte += 1) {
    for (let value = 0; value < 256; value += 1) {
      table[byte * 256 + value] = multiply(factor, (value << (byte * 8)) >>> 0)
    }
  }
  const at = (index: number): number => table[index] ?? 0
  return (crc) =>
    (at(crc & 255) ^
      at(256 + ((crc >>> 8) & 255)) ^
      at(512 + ((crc >>> 16) & 255)) ^
      at(768 + (crc >>> 24))) >>>
    0
}

function zeroBytes(count: number): number {
  let product = ONE
  // 8n bits: the power of bit k of n is k + 3.
  for (let rest = count, power = 3; rest > 0; rest = Math.floor(rest / 2), power += 1) {
    if (rest % 2 === 1) product = multiply(POWERS[power] ?? 0, product)
  }
  return product
}

function multiply(a: number, b: number): number {
  let product = 0
  let factor = b
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= factor
    factor = (factor & 1) === 0 ? factor >>> 1 : (factor >>> 1) ^ POLYNOMIAL
  }
  return product
}

function makePowers(): readonly number[] {
  const powers = [ONE >>> 1]
  for (let n = 1; n < 60; n += 1) {
    const last = powers[n - 1] ?? 0
    powers.push(multiply(last, last))
  }
  return powers
}
