/**
 * Whether a primary that we cannot reach still speaks to its standbys: then it is our way to it
 * that is broken, not the primary, and a failover would make two.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { until } from '../util/until.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** A walsender with nothing to send speaks every 30 s (half of wal_sender_timeout). */
const SILENCE_MS = 35_000
/**
 * A walreceiver that lost its primary for a moment tries again after wal_retrieve_retry_interval, 5
 * s.
 */
const RETRY_MS = 7000

/**
 * Waits until `standby` has heard nothing of its primary for long enough, or its walreceiver has
 * given up.
 * @throws SPLIT_BRAIN when the primary speaks to it meanwhile.
 */
export async function awaitSilence(
  context: ClusterContext,
  standby: string,
  primary: string,
): Promise<void> {
  const { clock, signal, wanted } = context
  await using sql = await openAdminSql(context, wantedServer(wanted, standby))
  // None at this moment is no silence yet: it may be on its way back.
  const first = await until(async () => lastMessage(sql), {
    clock,
    signal,
    timeoutMs: RETRY_MS,
    intervalMs: 250,
  })
  if (first === undefined) return
  const isSilent = await until(
    async () => {
      const now = await lastMessage(sql)
      if (now === undefined || now.ageMs > SILENCE_MS) return true
      if (now.at !== first.at) throw alive(standby, primary)
      context.report({ kind: 'waiting', server: standby, what: `silence of "${primary}"` })
      return false
    },
    { clock, signal, timeoutMs: SILENCE_MS + 5000, intervalMs: 100 },
  )
  if (isSilent !== true) throw alive(standby, primary)
}

async function lastMessage(
  sql: Awaited<ReturnType<typeof openAdminSql>>,
): Promise<{ readonly at: string; readonly ageMs: number } | undefined> {
  const [row] = await sql.query<{ at: string; ageMs: number }>(
    `SELECT last_msg_receipt_time::text AS at,
            (extract(epoch FROM clock_timestamp() - last_msg_receipt_time) * 1000)::float8 AS "ageMs"
       FROM pg_stat_wal_receiver
      WHERE status = 'streaming' AND last_msg_receipt_time IS NOT NULL`,
  )
  return row
}

function alive(standby: string, primary: string): BackstayError {
  return new BackstayError(
    'SPLIT_BRAIN',
    `Will not fail over: "${primary}" does not answer here, but "${standby}" still receives from it: it is alive`,
    { hint: `Mend the way to "${primary}". To give it up, switch it off first.` },
  )
}
