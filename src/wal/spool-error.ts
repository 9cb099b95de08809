/**
 * Turns errno errors of the spool's file system into catalogue errors, once.
 */
import { BackstayError } from '../errors/backstay-error.ts'

/**
 * DISK_SPACE for a full disk or quota, STORE for every other errno; a BackstayError stays as it is,
 * and anything else is a bug. `action`: «write "…"».
 */
export function spoolError(action: string, cause: unknown): BackstayError {
  if (cause instanceof BackstayError) return cause
  const { code, message, errno } = cause as NodeJS.ErrnoException
  if (errno === undefined)
    return new BackstayError('BUG', `Cannot ${action}: ${String(cause)}`, { cause })
  const isFull = code === 'ENOSPC' || code === 'EDQUOT'
  return new BackstayError(
    isFull ? 'DISK_SPACE' : 'STORE',
    `Cannot ${action}: ${isFull ? 'no space left' : message}`,
    { cause },
  )
}
