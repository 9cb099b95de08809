/**
 * Commits begin to wait for others only once enough of these stream. Standbys are waited for when
 * they are attached; the service on the backup server, when it was there before the primary, comes
 * at its next try: `up` waits for that as well.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { until } from '../util/until.ts'
import { takeStep } from './apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound } from '../cluster/found.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import { mayBeSynchronous } from './plan/primary-plan.ts'
import { type Problem, warning } from '../cluster/problem.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

const TIMEOUT_MS = 60_000
const INTERVAL_MS = 200

/** How the wait ended. */
export interface Awaited {
  /** Whether it came, so that the cluster has to be looked at anew. */
  readonly hasCome: boolean
  /** That it stayed away: commits do not wait for it. */
  readonly problem: Problem | undefined
}

const NOT_AWAITED: Awaited = { hasCome: false, problem: undefined }

/**
 * Waits for the receiver of a service that runs, when commits are to wait for it and do not yet.
 */
export async function awaitReceiver(
  context: ClusterContext,
  { servers, backupHost, ownService }: Pick<ClusterFound, 'servers' | 'backupHost' | 'ownService'>,
  primary: string | undefined,
): Promise<Awaited> {
  const { wanted } = context
  const leader = servers.find(({ name }) => name === primary)
  if (leader === undefined || wanted.backup?.synchronous !== true) return NOT_AWAITED
  const own = typeof ownService === 'object' && 'state' in ownService ? ownService.state : undefined
  if ((backupHost?.seen?.unit ?? own)?.activeState !== 'active') return NOT_AWAITED
  const server = wantedServer(wanted, leader.name)
  if (mayBeSynchronous(wanted, server, leader)) return NOT_AWAITED
  const { name: receiver } = wanted.backup
  const told = {
    id: `${leader.name}.receiver`,
    server: leader.name,
    title: `wait until "${receiver}" receives its WAL`,
  }
  try {
    await takeStep(context, told, async () => waitFor(context, server, receiver))
    return { hasCome: true, problem: undefined }
  } catch (error) {
    if (!isBackstayError(error, 'TIMEOUT')) throw error
    const { code, message, hint } = error
    return { hasCome: false, problem: warning(leader.name, { code, message, hint }) }
  }
}

/** @throws TIMEOUT when it stays away. */
async function waitFor(
  context: ClusterContext,
  server: ServerWanted,
  receiver: string,
): Promise<void> {
  const { clock, signal } = context
  const isThere = async (): Promise<boolean> => streams(context, server, receiver)
  const options = { clock, signal, timeoutMs: TIMEOUT_MS, intervalMs: INTERVAL_MS }
  if ((await until(isThere, options)) === true) return
  throw new BackstayError(
    'TIMEOUT',
    `Commits on "${server.name}" do not wait for "${receiver}" yet: its service runs, but has not come to receive WAL within ${TIMEOUT_MS / 1000} s`,
    {
      hint: `Run backstay check, and look at the service's log on "${receiver}"; then run: backstay up`,
    },
  )
}

async function streams(
  context: ClusterContext,
  server: ServerWanted,
  receiver: string,
): Promise<boolean> {
  try {
    await using sql = await openAdminSql(context, server)
    const rows = await sql.query(
      `SELECT FROM pg_stat_replication WHERE state = 'streaming' AND application_name = $1`,
      [receiver],
    )
    return rows.length > 0
  } catch (error) {
    if (isBackstayError(error)) return false
    throw error
  }
}
