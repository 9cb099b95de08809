/**
 * Whose WAL lies in a data directory: each segment begins with the system identifier. It tells
 * whose the directory is when its pg_control is gone, which a half finished restore, or a careful
 * operator, takes away first.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../host/file-error.ts'
import {
  DEFAULT_WAL_BLOCK_BYTES,
  LONG_HEADER,
  majorOfWalMagic,
  readWalPageHeader,
} from '../postgres/wal-page.ts'
import { openIfRegular } from '../util/read-regular.ts'

const SEGMENT = /^[0-9A-F]{24}$/
/** One that does not agree with the others says that nobody knows. */
const SEGMENTS_READ = 16

/**
 * The one system identifier that the newest segments name; undefined when there is none, or more
 * than one.
 */
export async function identifierOfWal(directory: string): Promise<string | undefined> {
  const folder = join(directory, 'pg_wal')
  const names = (await namesIn(folder)).filter((name) => SEGMENT.test(name)).sort()
  const found = new Set<string>()
  for (const name of names.slice(-SEGMENTS_READ)) {
    const identifier = await identifierIn(join(folder, name))
    if (identifier !== undefined) found.add(identifier)
  }
  return found.size === 1 ? [...found][0] : undefined
}

async function identifierIn(path: string): Promise<string | undefined> {
  await using file = await openIfRegular(path)
  if (file === undefined) return undefined
  const page = Buffer.alloc(DEFAULT_WAL_BLOCK_BYTES)
  const { bytesRead } = await file.read(page, 0, page.length, 0)
  if (bytesRead < page.length) return undefined
  const header = readWalPageHeader(page)
  const isFirst = (header.info & LONG_HEADER) !== 0 && majorOfWalMagic(header.magic) !== undefined
  return isFirst ? header.long?.systemIdentifier : undefined
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return []
    throw error
  }
}
