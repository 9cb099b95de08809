/**
 * Exit codes in words: for the EXIT STATUS part of --help and for docs/exit-codes.md.
 */
import { ERROR_KINDS, type ErrorCode } from '../errors/codes.ts'
import type { CommandDefinition } from './define-command.ts'

/** What each exit code means, whatever the error. */
export const EXIT_MEANINGS: Readonly<Record<number, string>> = {
  0: 'done',
  1: 'failed',
  2: 'wrong command line or cluster file, or not confirmed',
  3: 'partly done, or a check is not OK',
  10: 'no such repository or backup',
  11: 'locked by other work',
  12: 'wrong key',
  13: 'repository damaged',
  20: 'PostgreSQL unreachable',
  21: 'PostgreSQL refused the login',
  22: 'wrong or missing version of PostgreSQL',
  23: 'other system identifier or timeline',
  30: 'host unreachable',
  31: 'command on a host failed',
  40: 'store failed',
  50: 'target not reachable, WAL is missing',
  51: 'unsafe without --allow-data-loss',
  70: 'bug in Backstay',
  126: 'recovery must stop (wal get)',
  129: 'interrupted by SIGHUP',
  130: 'interrupted by SIGINT (Ctrl-C)',
  141: 'the reader of the output went away',
  143: 'interrupted by SIGTERM',
}

const OF_EVERY_COMMAND: readonly ErrorCode[] = ['FAILED', 'USAGE', 'INTERRUPTED']
const OF_CONFIG: readonly ErrorCode[] = ['CONFIG_MISSING', 'CONFIG_INVALID']

/** The exit codes a command can end with, 0 first, each with its meaning. */
export function exitStatus(definition: CommandDefinition): readonly [number, string][] {
  const codes = [
    ...OF_EVERY_COMMAND,
    ...(definition.needs?.config === true ? OF_CONFIG : []),
    ...(definition.exits ?? []),
  ]
  const numbers = new Set([0, ...codes.map((code) => ERROR_KINDS[code].exitCode)])
  return [...numbers].sort((a, b) => a - b).map((code) => [code, EXIT_MEANINGS[code] ?? ''])
}
