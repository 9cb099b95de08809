/**
 * For property tests: a byte stream cut into pieces at arbitrary places.
 */
import * as fc from 'fast-check'

/** Cuts `bytes` before each of `places` (taken modulo the length); pieces are copies, as a reused buffer would be. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  const edges = [0, ...cuts, bytes.length]
  return edges
    .slice(1)
    .map((end, index) => Buffer.from(bytes.subarray(edges[index], end)))
    .filter((piece) => piece.length > 0)
}

/** Places to cut at, from none to many. */
export const places: fc.Arbitrary<number[]> = fc.array(fc.nat(1 << 20), { maxLength: 60 })

/**
 * Pushes the pieces one after another through one buffer that is overwritten after each, as the socket's is:
 * who kept a view instead of a copy sees rubbish.
 */
export async function pushAll(
  pieces: readonly Buffer[],
  push: (piece: Buffer) => void | Promise<void>,
): Promise<void> {
  const buffer = Buffer.alloc(Math.max(1, ...pieces.map((piece) => piece.length)))
  for (const piece of pieces) {
    piece.copy(buffer)
    const pending = push(buffer.subarray(0, piece.length))
    if (pending !== undefined) await pending
    buffer.fill(0xaa)
  }
}
