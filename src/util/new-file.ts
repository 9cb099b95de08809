/**
 * Writing a file that must not be there yet.
 */
import { link, open, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { syncDirectory } from './sync-directory.ts'

/**
 * Writes a new file whole: it is there with all its content, durable, or not at all. Nothing is ever overwritten.
 * @throws the system's error, EEXIST when something stands at `path` already
 */
export async function writeNewFile(path: string, content: string): Promise<void> {
  const directory = dirname(path)
  const temporary = join(directory, `.${basename(path)}.${process.pid}.tmp`)
  try {
    await writeDurably(temporary, content)
    // Unlike rename, link refuses a name that is taken.
    await link(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
  await syncDirectory(directory)
}

async function writeDurably(path: string, content: string): Promise<void> {
  await using file = await open(path, 'w')
  await file.writeFile(content)
  await file.sync()
}
