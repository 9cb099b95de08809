/**
 * Writes a WAL file so that it is never seen unfinished: under a temporary name in the same folder,
 * then renamed. Not synced: PostgreSQL syncs what it restores, and prefetched files do not outlive
 * a power cut.
 */
import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { bytesBeforeZeros } from '../util/zero-tail.ts'

/**
 * Replaces `target` whole. `temporary` lies in the same folder. Zeros at the end become a hole: to
 * write them out is nearly all that a segment costs which archive_timeout has closed.
 * @throws the errno error; nothing is left then.
 */
export async function writeWhole(
  temporary: string,
  target: string,
  content: Buffer,
): Promise<void> {
  try {
    {
      // In one call: writeFile would cut it into pieces of 512 KiB, each a turn through the thread
      // pool.
      await using file = await open(temporary, 'w', 0o600)
      const bytes = bytesBeforeZeros(content)
      for (let done = 0; done < bytes;) {
        const { bytesWritten } = await file.write(content, done, bytes - done, done)
        done += bytesWritten
      }
      if (bytes < content.length) await file.truncate(content.length)
    }
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/**
 * Puts what recovery asked for where it wants it.
 * @throws {BackstayError} FAILED when it cannot be written
 */
export async function placeWalFile(content: Buffer, target: string): Promise<void> {
  const temporary = join(dirname(target), `.${basename(target)}.backstay-${process.pid}`)
  try {
    await writeWhole(temporary, target, content)
  } catch (error) {
    throw new BackstayError('FAILED', `Cannot write "${target}": ${(error as Error).message}`, {
      cause: error,
    })
  }
}
