/**
 * `backstay join`: a second operator, or one who has lost his state directory, gets into a cluster.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  yes: { type: 'flag', help: 'Fetch without asking' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Get into a cluster that another machine built',
  description: `Fetches identity and passwords from the servers' machines, where up keeps a copy that only root can read, into the state directory here. Needs the cluster file and the ssh way that it names, with a login that is root there or becomes it with sudo. Nothing on the machines is changed.`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['NOT_READY', 'NEEDS_CONFIRMATION', 'POSTGRES_IDENTITY', 'DIRECTORY_OWNER'],
  examples: ['backstay join'],
  load: () => import('../actions/join.ts'),
})
