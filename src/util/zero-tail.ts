/**
 * Where the zeros at the end of a buffer begin. Compared in blocks: byte by byte a WAL segment
 * takes twenty times as long.
 */
const ZEROS = Buffer.alloc(64 * 1024)

/** Bytes of `content` up to and including the last that is not zero. */
export function bytesBeforeZeros(content: Uint8Array): number {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
  let end = bytes.length
  while (end > 0) {
    const start = Math.max(0, end - ZEROS.length)
    if (bytes.compare(ZEROS, 0, end - start, start, end) !== 0) break
    end = start
  }
  while (end > 0 && bytes[end - 1] === 0) end -= 1
  return end
}
