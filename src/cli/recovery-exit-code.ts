/**
 * How `wal get` ends as a restore_command: PostgreSQL takes every code up to 125 for «not there»,
 * by which recovery reaches its end and the database opens without what follows. So only a file
 * that is not held ends with 1; whatever else fails, a mistyped option included, ends with 126. A
 * standby asks again and can stream meanwhile: for it every failure is 1. Source:
 * RestoreArchivedFile() of PostgreSQL's xlogarchive.c. bin/start.js does the same for a program
 * that cannot be loaded.
 */
import { isBackstayError } from '../errors/backstay-error.ts'

const NOT_THERE = 1
const STOP_RECOVERY = 126

/**
 * The exit code for `error` when `words` are those of a restore_command, or of the gate that
 * answers one, else undefined.
 */
export function recoveryExitCode(words: readonly string[], error: unknown): number | undefined {
  const [first, second] = words.filter((word) => !word.startsWith('-'))
  if (first !== 'gate' && (first !== 'wal' || second !== 'get')) return undefined
  const isMissing = isBackstayError(error, 'WAL_MISSING')
  return isMissing || words.includes('--standby') ? NOT_THERE : STOP_RECOVERY
}
