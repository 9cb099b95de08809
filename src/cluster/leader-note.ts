/**
 * Remembers who is primary and whose confirmation its commits wait for: the day it is gone nobody
 * can ask it.
 */
import type { ClusterContext } from './context.ts'
import type { SqlClient } from '../wire/sql-client.ts'
import type { ClusterFound, LeaderNote } from './found.ts'
import { answeringPrimary } from './replication.ts'

/**
 * Notes a server that has just been promoted: an `up` that fails afterwards must not leave the one
 * before it in the note. Whose commits do not wait is as it was known: those settings came with the
 * data.
 */
export async function noteNewLeader(
  { state }: ClusterContext,
  leader: Pick<LeaderNote, 'server' | 'timeline'>,
  sql: SqlClient,
): Promise<void> {
  const { names } = await sql.one<{ names: string }>(
    `SELECT current_setting('synchronous_standby_names') AS names`,
  )
  const { asynchronous = [] } = (await state.readLeader()) ?? {}
  await state.writeLeader({ ...leader, synchronousNames: names, asynchronous })
}

/** Notes the primary that answers, when anything about it is new. */
export async function noteLeader({ state }: ClusterContext, found: ClusterFound): Promise<void> {
  const primary = answeringPrimary(found)
  if (primary === undefined) return
  const synchronousNames = primary.sql.settings.get('synchronous_standby_names')?.value ?? ''
  const { timeline, asynchronous = [] } = primary.sql
  const note = { server: primary.name, timeline, synchronousNames, asynchronous }
  const known = await state.readLeader()
  const isKnown =
    known?.server === note.server &&
    known.timeline === note.timeline &&
    known.synchronousNames === note.synchronousNames &&
    JSON.stringify(known.asynchronous) === JSON.stringify(note.asynchronous)
  if (!isKnown) await state.writeLeader(note)
}
