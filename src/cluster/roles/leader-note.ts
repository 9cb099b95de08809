/**
 * Remembers who is primary and whose confirmation its commits wait for: the day it is gone nobody can ask it.
 */
import type { ClusterContext } from '../context.ts'
import type { ClusterFound } from '../found.ts'
import { answeringPrimary } from '../replication.ts'

/** Notes the primary that answers, when anything about it is new. */
export async function noteLeader({ state }: ClusterContext, found: ClusterFound): Promise<void> {
  const primary = answeringPrimary(found)
  if (primary === undefined) return
  const synchronousNames = primary.sql.settings.get('synchronous_standby_names')?.value ?? ''
  const note = { server: primary.name, timeline: primary.sql.timeline, synchronousNames }
  const known = await state.readLeader()
  const isKnown =
    known?.server === note.server &&
    known.timeline === note.timeline &&
    known.synchronousNames === note.synchronousNames
  if (!isKnown) await state.writeLeader(note)
}
