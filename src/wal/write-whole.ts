/**
 * Writes a WAL file so that it is never seen unfinished: under a temporary name in the same folder, then renamed. Not synced: PostgreSQL
 * syncs what it restores, and prefetched files do not outlive a power cut.
 */
import { open, rename, rm } from 'node:fs/promises'

/** Replaces `target` whole. `temporary` lies in the same folder. @throws the errno error; nothing is left then. */
export async function writeWhole(
  temporary: string,
  target: string,
  content: Buffer,
): Promise<void> {
  try {
    {
      // In one call: writeFile would cut it into pieces of 512 KiB, each a turn through the thread pool.
      await using file = await open(temporary, 'w', 0o600)
      let done = 0
      while (done < content.length) {
        const { bytesWritten } = await file.write(content, done, content.length - done, done)
        done += bytesWritten
      }
    }
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
