/**
 * The physical slots a primary must have: one a standby, one for the WAL receiver.
 */
import { slotNameOf } from './names.ts'
import type { ClusterWanted } from './wanted.ts'
import { blocker, type Problem } from './problem.ts'

/** A slot and who uses it. */
export interface SlotWanted {
  readonly name: string
  readonly user: string
}

/** The slots `primary` needs. Which server is primary is found, not wished. */
export function slotsWanted(wanted: ClusterWanted, primary: string): readonly SlotWanted[] {
  const standbys = wanted.servers
    .filter((server) => server.name !== primary)
    .map((server) => ({ name: slotNameOf(server.name), user: server.name }))
  const { backup } = wanted
  return backup === undefined ? standbys : [...standbys, { name: backup.slot, user: backup.name }]
}

/** A problem when the receiver would use a standby's slot: the two would throw each other out. */
export function slotProblems({ servers, backup }: ClusterWanted): readonly Problem[] {
  const other = servers.find((server) => slotNameOf(server.name) === backup?.slot)
  if (backup === undefined || other === undefined) return []
  return [
    blocker(backup.name, {
      code: 'CONFIG_INVALID',
      message: `The WAL receiver of "${backup.name}" and standby "${other.name}" would share replication slot "${backup.slot}"`,
      hint: `Set backup.slot in the cluster file, for instance to ${backup.slot}_wal.`,
    }),
  ]
}
