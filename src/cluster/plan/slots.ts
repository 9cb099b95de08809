/**
 * The physical slots a primary must have: one a standby, one for the WAL receiver.
 */
import { slotNameOf } from '../names.ts'
import type { ClusterWanted } from '../wanted.ts'

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
