/**
 * How far a standby has replayed, one that is kept behind on purpose (recovery_min_apply_delay) and
 * is to have everything now included.
 */
import type { Lsn } from '../postgres/lsn.ts'
import type { Clock } from '../util/clock.ts'
import { until } from '../util/until.ts'
import type { SqlClient } from '../wire/sql-client.ts'

interface DelayRow {
  readonly value: string
  /** Whether ALTER SYSTEM has set it. */
  readonly isAltered: boolean
}

const DELAY_QUERY = `
SELECT setting AS value, coalesce(sourcefile LIKE '%postgresql.auto.conf', false) AS "isAltered"
  FROM pg_settings WHERE name = 'recovery_min_apply_delay' AND setting <> '0'`

/**
 * Lifts the delay of a standby until what is returned is disposed. Up to 11 it is no setting, and
 * nothing is done.
 */
export async function replayAtOnce(sql: SqlClient): Promise<AsyncDisposable> {
  const [delay] = await sql.query<DelayRow>(DELAY_QUERY)
  if (delay !== undefined) await alter(sql, 'SET recovery_min_apply_delay = 0')
  return {
    [Symbol.asyncDispose]: async () => {
      if (delay === undefined) return
      const { value, isAltered } = delay
      const back = isAltered
        ? `SET recovery_min_apply_delay = ${Number(value)}`
        : 'RESET recovery_min_apply_delay'
      await alter(sql, back)
    },
  }
}

/** Whether it has replayed up to there in time. */
export async function hasReplayed(
  sql: SqlClient,
  lsn: Lsn,
  wait: { readonly clock: Clock; readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<boolean> {
  const isThere = async (): Promise<boolean> => {
    const { replayed } = await sql.one<{ replayed: Lsn | null }>(
      'SELECT pg_last_wal_replay_lsn() AS replayed',
    )
    return replayed !== null && replayed >= lsn
  }
  return (await until(isThere, wait)) === true
}

async function alter(sql: SqlClient, change: string): Promise<void> {
  await sql.query(`ALTER SYSTEM ${change}`)
  await sql.query('SELECT pg_reload_conf()')
}
