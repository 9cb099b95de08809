/**
 * How much of a file is read that somebody else may have written: a server, its OS user, whoever
 * owns the machine.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatSize } from '../util/size.ts'

/** Of any file that nothing more is known of: no configuration or key file comes near it. */
export const READ_LIMIT_BYTES = 16 * 1024 * 1024
/**
 * Of files whose format is small: pg_control, histories of timelines, postmaster.pid, PG_VERSION.
 */
export const SMALL_FILE_BYTES = 64 * 1024

/** Of the names in one directory, or below it: millions of files. */
export const NAMES_BYTES_MAX = 256 * 1024 * 1024

/** More names than are read. */
export function tooManyNames(path: string): BackstayError {
  return new BackstayError(
    'FAILED',
    `Cannot list "${path}": its names are longer than the ${formatSize(NAMES_BYTES_MAX)} that are read`,
    { hint: 'No cluster has so many files: look at it, and at who made them.' },
  )
}

/**
 * The content, read up to one byte more than `limitBytes`.
 * @throws FAILED when that byte is there.
 */
export function checkLimit(path: string, content: Buffer, limitBytes: number): Buffer {
  if (content.length <= limitBytes) return content
  throw new BackstayError(
    'FAILED',
    `Cannot read "${path}": it is longer than the ${formatSize(limitBytes)} that are read of such a file`,
    {
      hint: 'No program writes so much there: look at it, and at who did.',
      details: { path, limitBytes },
    },
  )
}
