/**
 * What the operating system says about files, as our errors. The one place that reads errno in the
 * store.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'

/** The `code` of a Node file error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

const REASONS: Readonly<Record<string, string>> = {
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EIO: 'input/output error',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files on this host',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
  ESTALE: 'the network file system lost the file',
  ENOENT: 'it is not there (was its disk unmounted?)',
  ENOTCONN: 'the file system is not connected any more',
  ENODEV: 'the device is gone',
  ENXIO: 'the device is gone',
  EHOSTDOWN: 'the host of the file system does not answer',
  ETIMEDOUT: 'the file system did not answer in time',
}

/** What the system says, in words. */
export function reasonOf(error: unknown): string {
  const errno = errnoOf(error)
  const text = error instanceof Error ? error.message : String(error)
  return (errno === undefined ? undefined : REASONS[errno]) ?? text
}

/**
 * `action` as in «write "x/y"»: the message becomes «Cannot write "x/y": …». Our own errors pass
 * unchanged.
 */
export function translateDiskError(action: string, error: unknown): BackstayError {
  if (isBackstayError(error)) return error
  const errno = errnoOf(error)
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    const what = errno === 'ENOSPC' ? 'no space left on the device' : 'the disk quota is used up'
    return new BackstayError('DISK_SPACE', `Cannot ${action}: ${what}`, { cause: error })
  }
  return new BackstayError('STORE', `Cannot ${action}: ${reasonOf(error)}`, {
    cause: error,
    details: { errno },
  })
}

/** Runs `work`, translating what it throws. */
export async function translating<T>(action: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw translateDiskError(action, error)
  }
}
