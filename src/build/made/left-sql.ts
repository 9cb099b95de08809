/**
 * What is left on the primary of servers that are in the cluster file no more: slots, and roles
 * that log in.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { until } from '../../util/until.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import type { ClusterFound } from '../../cluster/found.ts'
import { openAdminSql } from '../../cluster/look/connect.ts'
import { rolesWanted } from '../../cluster/wanted-roles.ts'
import { answeringPrimary } from '../../cluster/replication.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'

/** A walreceiver that was stopped leaves its slot within moments. */
const RELEASE_TIMEOUT_MS = 30_000

/** The server notices only after wal_sender_timeout that nobody is there. */
const END_SESSION = `
SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
 WHERE slot_name = $1 AND slot_type = 'physical' AND active_pid IS NOT NULL`

/** A slot that is to go. */
export interface LeftSlot {
  readonly slot: string
  /**
   * The machine of who streamed is gone: a session that the server still has with it says nothing.
   */
  readonly isDeserted: boolean
}

/**
 * Drops a physical slot nobody uses any more; false when there is none.
 * @throws NOT_READY when it stays in use
 */
export async function dropLeftSlot(
  context: ClusterContext,
  found: ClusterFound,
  { slot, isDeserted }: LeftSlot,
): Promise<boolean> {
  await using sql = await openAdminSql(context, primaryOf(context, found))
  const ask = `SELECT active FROM pg_replication_slots WHERE slot_name = $1 AND slot_type = 'physical'`
  const { clock, signal } = context
  let isThere = false
  if (isDeserted) await sql.query(END_SESSION, [slot])
  const isFree = await until(
    async () => {
      const [row] = await sql.query<{ active: boolean }>(ask, [slot])
      isThere = row !== undefined
      return row?.active !== true
    },
    { clock, signal, timeoutMs: RELEASE_TIMEOUT_MS, intervalMs: 200 },
  )
  if (isFree !== true) {
    throw new BackstayError('NOT_READY', `Slot "${slot}" is still in use: it cannot be dropped`, {
      hint: 'pg_stat_replication on the primary says who streams from it: stop that, then run the command again.',
    })
  }
  if (!isThere) return false
  await sql.query(
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
      WHERE slot_name = $1 AND slot_type = 'physical' AND NOT active`,
    [slot],
  )
  return true
}

/**
 * Takes login and password from roles that have no job left. They are not dropped: something may
 * belong to them.
 * @returns those that were there
 */
export async function silenceRoles(
  context: ClusterContext,
  found: ClusterFound,
  roles: readonly string[],
): Promise<readonly string[]> {
  const needed = [
    context.wanted.postgres.superuser,
    ...rolesWanted(context.wanted).map(({ name }) => name),
  ]
  const idle = [...new Set(roles)].filter((role) => !needed.includes(role))
  await using sql = await openAdminSql(context, primaryOf(context, found))
  const rows = await sql.query<{ name: string; quoted: string }>(
    `SELECT rolname::text AS name, quote_ident(rolname) AS quoted FROM pg_roles
      WHERE rolname = ANY ($1::name[]) AND NOT rolsuper`,
    [idle],
  )
  for (const { quoted } of rows) {
    await sql.query(`ALTER ROLE ${quoted} NOLOGIN NOREPLICATION PASSWORD NULL`)
  }
  return rows.map(({ name }) => name)
}

function primaryOf(context: ClusterContext, found: ClusterFound): ServerWanted {
  const primary = answeringPrimary(found)
  if (primary === undefined) throw new BackstayError('BUG', 'Asked for a primary that is not there')
  return wantedServer(context.wanted, primary.name)
}
