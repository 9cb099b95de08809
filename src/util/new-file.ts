/**
 * Writing a file that must not be there yet.
 */
import { randomBytes } from 'node:crypto'
import { constants, link, open, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { syncDirectory } from './sync-directory.ts'

/**
 * In a directory that another user can write a name may lead elsewhere: nothing is opened there
 * that was there before.
 */
const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/**
 * Writes a new file whole: it is there with all its content, durable, or not at all. Nothing is
 * ever overwritten.
 * @throws the system's error, EEXIST when something stands at `path` already
 */
export async function writeNewFile(path: string, content: string): Promise<void> {
  const directory = dirname(path)
  const name = `.${basename(path)}.${randomBytes(8).toString('hex')}.tmp`
  const temporary = join(directory, name)
  const file = await open(temporary, NEW, 0o666)
  try {
    await file.writeFile(content)
    await file.sync()
    // Unlike rename, link refuses a name that is taken.
    await link(temporary, path)
  } finally {
    await file.close()
    await rm(temporary, { force: true })
  }
  await syncDirectory(directory)
}
