/**
 * What the system says of a file of a data directory, as our error.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { errnoOf, reasonOf } from '../../store/disk-error.ts'

/** Does `work` on `path`. @throws {BackstayError} FAILED for what the system refuses */
export async function aboutDataFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (errnoOf(cause) === undefined) throw cause
    throw new BackstayError('FAILED', `Cannot read "${path}": ${reasonOf(cause)}`, { cause })
  }
}

/** The same; undefined for what is not there, or `absent` in the words of errno says so. */
export async function ifThere<T>(
  path: string,
  work: () => Promise<T>,
  absent: readonly string[] = ['ENOENT'],
): Promise<T | undefined> {
  return await aboutDataFile(path, async () => {
    try {
      return await work()
    } catch (error) {
      if (absent.includes(errnoOf(error) ?? '')) return undefined
      throw error
    }
  })
}
