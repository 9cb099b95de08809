/**
 * Reads a file that somebody else may have put there: never more than a limit, and nothing but a
 * regular file, which a pipe or a device in its place would not be.
 */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { filePath } from './byte-path.ts'

const PIECE_BYTES = 64 * 1024

/**
 * The content of at most `limitBytes`.
 * @throws Node's errors, and errors of their kind: EINVAL for what is no file, EFBIG for a longer
 * one
 */
export async function readRegular(path: string, limitBytes: number): Promise<Buffer> {
  const file = await openRegular(path)
  try {
    const content = await readUpTo(file, limitBytes + 1)
    if (content.length <= limitBytes) return content
    throw Object.assign(new Error(`it is longer than ${limitBytes} bytes`), { code: 'EFBIG' })
  } finally {
    await file.close()
  }
}

/**
 * open(2): names the file without opening it, so that no device does anything. Node has no constant
 * for it.
 */
export const O_PATH = 0o10000000

/**
 * Opens it after it was judged: a device acts on being opened, a pipe waits. Directories are told
 * by the first read.
 */
export async function openRegular(path: string): Promise<FileHandle> {
  const named = await open(filePath(path), O_PATH)
  try {
    checkRegular(await named.stat())
    // The very file that was judged, whatever its name leads to by now.
    return await open(`/proc/self/fd/${named.fd}`, constants.O_RDONLY | constants.O_NONBLOCK)
  } finally {
    await named.close()
  }
}

/** @throws an error of Node's kind, EINVAL, for what is neither a file nor a directory */
export function checkRegular(found: Stats): void {
  if (found.isFile() || found.isDirectory()) return
  throw Object.assign(new Error('it is no regular file'), { code: 'EINVAL' })
}

/** The same; undefined for what is no file, so that a pipe in its place is passed over. */
export async function openIfRegular(path: string): Promise<FileHandle | undefined> {
  try {
    return await openRegular(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return undefined
    throw error
  }
}

/**
 * By what comes, not by the size it claims: a file of /proc claims none, and another can grow
 * meanwhile.
 */
export async function readUpTo(file: FileHandle, mostBytes: number): Promise<Buffer> {
  const { size } = await file.stat()
  const pieces: Buffer[] = []
  let total = 0
  for (let length = Math.max(size + 1, PIECE_BYTES); total < mostBytes; length = PIECE_BYTES) {
    const piece = Buffer.allocUnsafe(Math.min(length, mostBytes - total))
    const { bytesRead } = await file.read(piece, 0, piece.length)
    if (bytesRead === 0) break
    pieces.push(piece.subarray(0, bytesRead))
    total += bytesRead
  }
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces, total)
}
