/**
 * Exit codes in words: for the EXIT STATUS part of --help and for docs/exit-codes.md.
 */
import { ERROR_KINDS, type ErrorCode } from '../errors/codes.ts'
import { EXIT_MEANINGS } from '../errors/exit-meanings.ts'
import type { CommandDefinition } from './define-command.ts'

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
