/**
 * `backstay restart`: servers come up again with what is installed and configured now.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  rolling: {
    type: 'flag',
    help: 'All servers: the standbys one after the other, then the primary',
  },
  switchover: {
    type: 'flag',
    help: 'A standby takes over instead of the primary being restarted in its place',
  },
} as const satisfies OptionSpecs

export const ARGUMENTS = [
  { name: 'server', help: 'The one to restart', optional: true },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  summary: 'Restart one server, or all of them in turn',
  description: `A server goes on running the program it was started with after a package update has replaced it; check says so. Each standby has to stream again before the next server is touched, and nothing is restarted while a standby that should be there is not. Where systemd runs a server it is restarted as that service.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  needs: { config: true },
  exits: [
    'NOT_READY',
    'PRIMARY_MISSING',
    'UNFINISHED',
    'DISK_SPACE',
    'TIMEOUT',
    'REPOSITORY_LOCKED',
  ],
  examples: [
    'backstay restart db2',
    'backstay restart --rolling',
    'backstay restart --rolling --switchover',
  ],
  load: () => import('../actions/restart.ts'),
})
