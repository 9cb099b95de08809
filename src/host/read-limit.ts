/**
 * How much of a file is read that somebody else may have written: a server, its OS user, whoever
 * owns the machine.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { pathOfBytes } from '../util/byte-path.ts'
import { formatSize } from '../util/size.ts'

/** Of any file that nothing more is known of: no configuration or key file comes near it. */
export const READ_LIMIT_BYTES = 16 * 1024 * 1024
/**
 * Of files whose format is small: pg_control, histories of timelines, postmaster.pid, PG_VERSION.
 */
export const SMALL_FILE_BYTES = 64 * 1024

/** Of the names in one directory, or below it: millions of files. */
export const NAMES_BYTES_MAX = 256 * 1024 * 1024

/** As many, of a few letters each, take much more memory than their bytes. */
const NAMES_MAX = 4_000_000
/** Longer is no path. */
const NAME_BYTES_MAX = 64 * 1024

/**
 * The names that a command printed for `path`, each ended by a zero byte, of output that was
 * limited to NAMES_BYTES_MAX. As `pathOfBytes` has them.
 * @throws FAILED for more of them, or longer ones, than there can be
 */
export function splitNames(path: string, output: Buffer): string[] {
  // Output that long was cut off at its beginning.
  if (output.length >= NAMES_BYTES_MAX) throw tooManyNames(path)
  const names: string[] = []
  for (let start = 0, end; (end = output.indexOf(0, start)) >= 0; start = end + 1) {
    if (names.length >= NAMES_MAX || end - start > NAME_BYTES_MAX) throw tooManyNames(path)
    names.push(pathOfBytes(output.subarray(start, end)))
  }
  return names
}

function tooManyNames(path: string): BackstayError {
  return new BackstayError(
    'FAILED',
    `Cannot list "${path}": its names are more than the ${NAMES_MAX}, or longer than the ${formatSize(NAMES_BYTES_MAX)}, that are read`,
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
