/**
 * Which ends of a backup leave something that the next one can go on with.
 */
import { isBackstayError } from '../../errors/backstay-error.ts'

/**
 * Codes of errors that say nothing against what was stored before them. A full disk is not among
 * them: its room is needed.
 */
const INTERRUPTIONS: ReadonlySet<string> = new Set([
  'INTERRUPTED',
  'POSTGRES_CONNECTION_LOST',
  'POSTGRES_QUERY',
  'TIMEOUT',
  'WAL_UNAVAILABLE',
])

/** Whether a backup ended for a reason that says nothing against what it had stored. */
export function isInterruption(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted) return true
  return isBackstayError(error) && INTERRUPTIONS.has(error.code)
}
