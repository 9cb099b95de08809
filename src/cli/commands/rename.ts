/**
 * `backstay rename`: a server has another name in the cluster file now.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'

export const ARGUMENTS = [
  { name: 'old', help: 'Name it had' },
  { name: 'new', help: 'Name it has in the cluster file now' },
] as const satisfies readonly ArgumentSpec[]

export const OPTIONS = {
  yes: { type: 'flag', help: 'Restart the server without asking' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Give a server the name it has in the cluster file now',
  description: `Change the name in the cluster file first, and nothing else. Does what up does, restarts the server as the service of its new name, and takes away what bears the old one: service, slot, way into the repository. Run again after an interruption, it goes on.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  needs: { config: true },
  exits: ['NEEDS_CONFIRMATION', 'NOT_READY', 'UNFINISHED', 'HOST_UNREACHABLE', 'REPOSITORY_LOCKED'],
  examples: ['backstay rename db2 berlin'],
  load: () => import('../actions/rename.ts'),
})
