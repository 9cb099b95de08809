/**
 * What the operating system says about files of a host, as our errors. The one place of this folder
 * that reads errno.
 */
import { isAbsolute } from 'node:path'
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import type { ErrorCode } from '../errors/codes.ts'

const KINDS: Readonly<Record<string, { readonly code: ErrorCode; readonly says: string }>> = {
  ENOSPC: { code: 'DISK_SPACE', says: 'no space left on the device' },
  EDQUOT: { code: 'DISK_SPACE', says: 'the disk quota is used up' },
  EACCES: { code: 'HOST_PRIVILEGE', says: 'permission denied' },
  EPERM: { code: 'HOST_PRIVILEGE', says: 'operation not permitted' },
  EROFS: { code: 'FAILED', says: 'the file system is read-only' },
  EIO: { code: 'FAILED', says: 'input/output error of the disk' },
  ENOENT: { code: 'FAILED', says: 'no such file or directory' },
  EEXIST: { code: 'FAILED', says: 'it is there already' },
  ENOTDIR: { code: 'FAILED', says: 'a part of the path is not a directory' },
  EISDIR: { code: 'FAILED', says: 'it is a directory' },
  ENOTEMPTY: { code: 'FAILED', says: 'the directory is not empty' },
  ELOOP: { code: 'FAILED', says: 'too many symbolic links' },
  ENAMETOOLONG: { code: 'FAILED', says: 'the name is too long' },
  EXDEV: { code: 'FAILED', says: 'it lies on another file system' },
  EBUSY: { code: 'FAILED', says: 'it is in use (a mount point?)' },
}

/** The `code` of a Node system error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

/**
 * Does `work` on a path of `host`.
 * @throws {BackstayError} FAILED for a path that is not absolute; what `work` throws, as
 * `fileError`
 */
export async function aboutFile<T>(
  host: string,
  { action, path }: { readonly action: string; readonly path: string },
  work: () => Promise<T>,
): Promise<T> {
  if (!isAbsolute(path)) {
    throw new BackstayError('FAILED', `Cannot ${action}: the path is not absolute`)
  }
  try {
    return await work()
  } catch (error) {
    throw fileError(host, action, error)
  }
}

/** «Cannot `action` on "`host`": reason»; our own errors pass unchanged. */
export function fileError(host: string, action: string, error: unknown): BackstayError {
  if (isBackstayError(error)) return error
  const errno = errnoOf(error)
  const kind = KINDS[errno ?? '']
  const says = kind?.says ?? (error instanceof Error ? error.message : String(error))
  return new BackstayError(kind?.code ?? 'FAILED', `Cannot ${action} on "${host}": ${says}`, {
    details: { host, errno },
    cause: error,
  })
}
