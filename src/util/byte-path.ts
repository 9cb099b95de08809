/**
 * File names are bytes. Inside the program they are strings; a byte that is not part of UTF-8 is
 * written as a lone surrogate, U+DC00 plus the byte (as Python's surrogateescape does), so that
 * every name has a string of its own and goes back to its bytes on the way out.
 */
import { isUtf8 } from 'node:buffer'
import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'

const ESCAPE = 0xdc00
const LOWEST_ESCAPED = 0xdc80
const HIGHEST_ESCAPED = 0xdcff

/** The string that stands for a name. */
export function pathOfBytes(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8')
  const parts: string[] = []
  for (let at = 0; at < bytes.length;) {
    const character = bytes.subarray(at, at + lengthAt(bytes, at))
    const isWhole = isUtf8(character)
    parts.push(
      isWhole ? character.toString('utf8') : String.fromCharCode(ESCAPE + (bytes[at] ?? 0)),
    )
    at += isWhole ? character.length : 1
  }
  return parts.join('')
}

/** The bytes of a name. */
export function bytesOfPath(path: string): Buffer {
  if (path.isWellFormed()) return Buffer.from(path)
  return Buffer.concat(
    Array.from(path, (character) => {
      const code = character.charCodeAt(0)
      const isEscaped = character.length === 1 && code >= LOWEST_ESCAPED && code <= HIGHEST_ESCAPED
      return isEscaped ? Buffer.of(code - ESCAPE) : Buffer.from(character)
    }),
  )
}

/** What Node's file functions take for it. */
export function filePath(path: string): string | Buffer {
  return path.isWellFormed() ? path : bytesOfPath(path)
}

/** An item of a directory. */
export type DirectoryItem = Pick<Dirent, 'name' | 'isFile' | 'isDirectory' | 'isSymbolicLink'>

/** The items of a directory by their true names. @throws Node's error. */
export async function readItems(directory: string): Promise<DirectoryItem[]> {
  const found = await readdir(filePath(directory), { withFileTypes: true, encoding: 'buffer' })
  return found.map((item) => ({
    name: pathOfBytes(item.name),
    isFile: () => item.isFile(),
    isDirectory: () => item.isDirectory(),
    isSymbolicLink: () => item.isSymbolicLink(),
  }))
}

/** Bytes that the character beginning at `at` would have. */
function lengthAt(bytes: Buffer, at: number): number {
  const lead = bytes[at] ?? 0
  if (lead < 0xc0) return 1
  if (lead < 0xe0) return 2
  return lead < 0xf0 ? 3 : 4
}
