/**
 * The backup that a command is about.
 */
import type { ArgumentSpec } from '../option-spec.ts'

/** The argument by which one backup is named. */
export const ARGUMENTS = [
  { name: 'backup', help: 'Id, beginning of an id, label, latest or oldest' },
] as const satisfies readonly ArgumentSpec[]
