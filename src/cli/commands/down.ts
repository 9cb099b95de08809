/**
 * `backstay down`: stops the cluster.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  destroy: { type: 'flag', help: 'Remove the data directories as well' },
  yes: { type: 'flag', help: 'Confirm --destroy, or that a base backup breaks off' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Stop the servers, or remove the cluster for good',
  description: `Stops the primary first, so that standbys and WAL receiver get everything up to its last record, and the service that up made of backstay serve. A base backup that is being taken breaks off with it: that is asked first. --destroy removes data directories that are provably this cluster’s; archives and the repository stay.`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['NEEDS_CONFIRMATION', 'REPOSITORY_LOCKED'],
  examples: ['backstay down'],
  load: () => import('../actions/down.ts'),
})
