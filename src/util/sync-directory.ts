/**
 * Makes what happened in a directory durable: a new, renamed or removed name is only safe once its
 * directory is synced.
 */
import { open } from 'node:fs/promises'
import { filePath } from './byte-path.ts'

/** Syncs the directory's entries to disk. @throws the errno error of open or fsync. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(filePath(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
