/**
 * What the commands for restored copies take.
 */
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'

/** The argument that names a restored copy. */
export const ARGUMENTS = [
  { name: 'directory', help: 'Directory of the copy' },
] as const satisfies readonly ArgumentSpec[]

/** On whose machine the copy is. */
export const OPTIONS = {
  server: { type: 'string', value: 'NAME', help: 'The copy is on the machine of this server' },
} as const satisfies OptionSpecs
