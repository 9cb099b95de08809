/**
 * The part of a switchover during which nobody can write: the old primary stops, is made a standby,
 * the candidate is proved to have all of its WAL, and is promoted. When a step fails the old
 * primary serves again.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import { until } from '../util/until.ts'
import type { SqlClient } from '../wire/sql-client.ts'
import { applySteps, takeStep } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import type { MemberFound } from '../cluster/leader.ts'
import { asStopped, followSteps } from './follow.ts'
import { unseenHistories } from './histories.ts'
import { type SwitchoverJournal, writeJournal } from '../cluster/journal.ts'
import { checkpoint, promoteStandby } from './promote.ts'
import type { RolesLock } from './role-lock.ts'
import { readShutdownEnd } from './shutdown-record.ts'
import { steadyContext } from './steady.ts'
import { stopOldPrimary } from './stop-old.ts'
import { checkpointTold, promoteTold, proveTold, startStep, stopTold } from './switch-steps.ts'
import { type SwitchoverReached, takeBack } from './take-back.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** The walsenders of a stopping primary do not end before everything was sent, so this is long. */
const RECEIPT_TIMEOUT_MS = 30_000
/**
 * Of the candidate, while nobody can write: one whose way is cut would hold everything up until ssh
 * gives up.
 */
const ANSWER_TIMEOUT_MS = 10_000
/** A walreceiver that is gone does not come back to a primary that is stopped. */
const CUT_OFF_MS = 1000

/** Who hands over to whom. */
export interface HandOver {
  readonly journal: SwitchoverJournal
  /**
   * The old primary as it was found; undefined when it is out of reach and known to be stopped and
   * fenced.
   */
  readonly from: MemberFound | undefined
  readonly others: readonly MemberFound[]
  readonly roles: RolesLock
}

/** The end of it. */
export interface HandedOver {
  readonly timeline: number
  readonly refusedMs: number
}

/**
 * Hands over.
 * @throws why it did not come to it; by then the old primary serves again, unless the message says
 * otherwise.
 */
export async function handOver(context: ClusterContext, course: HandOver): Promise<HandedOver> {
  const steady = steadyContext(context)
  const startedAtMs = context.clock.monotonic()
  const mayBeAsked = course.journal.phase === 'promote'
  const reached: SwitchoverReached = { stopAskedAtMs: undefined, isPromotionAsked: mayBeAsked }
  let timeline: number
  try {
    timeline = await changeRoles(steady, course, reached)
  } catch (error) {
    throw await takeBack(steady, { ...course, reached }, error)
  }
  const sinceMs = reached.stopAskedAtMs ?? startedAtMs
  const refusedMs = Math.round(context.clock.monotonic() - sinceMs)
  await bringAlong(steady, course)
  return { timeline, refusedMs }
}

/** Returns the new timeline. */
async function changeRoles(
  context: ClusterContext,
  course: HandOver,
  reached: SwitchoverReached,
): Promise<number> {
  const { journal, roles } = course
  const to = wantedServer(context.wanted, journal.to)
  await using sql = await openAdminSql(context, to, { statementTimeoutMs: ANSWER_TIMEOUT_MS })
  const histories = await unseenHistories(context, to)
  const endLsn = await stopOld(context, course, reached)
  const proved = { ...journal, endLsn: formatLsn(endLsn) }
  await writeJournal(context, { ...proved, phase: 'prove' })
  await prove(context, { to: journal.to, from: journal.from, endLsn }, sql)
  await writeJournal(context, { ...proved, phase: 'promote' })
  await roles.hold([journal.from])
  reached.isPromotionAsked = true
  return await takeStep(context, promoteTold(to.name), async () =>
    promoteStandby(context, { server: to, histories, roles }, sql),
  )
}

/** Stops the old primary and makes it a standby of the new one. Returns where its WAL ends. */
async function stopOld(
  context: ClusterContext,
  { journal, from, roles }: HandOver,
  reached: SwitchoverReached,
): Promise<Lsn> {
  const known = parseLsn(journal.endLsn ?? '')
  if (from === undefined) {
    if (known !== undefined) return known
    throw new BackstayError('HOST_UNREACHABLE', `Cannot reach the host of "${journal.from}"`)
  }
  const server = wantedServer(context.wanted, from.name)
  const marks = followSteps(context.wanted, asStopped(from), journal.to)
  await writeJournal(context, { ...journal, phase: 'stop' })
  await roles.hold()
  reached.stopAskedAtMs = context.clock.monotonic()
  const stopped = await takeStep(context, stopTold(from.name), async () =>
    stopOldPrimary(context, server, marks),
  )
  const endLsn = known ?? stopped.endLsn
  if (stopped.isMarked && endLsn !== undefined) return endLsn
  await writeJournal(context, { ...journal, phase: 'fence' })
  if (!stopped.isMarked) await applySteps(context, marks)
  return endLsn ?? (await readShutdownEnd(context, server)).endLsn
}

/**
 * Waits until the candidate has replayed the last record of the old primary: what it replayed it
 * has, and it is valid.
 */
async function prove(
  context: ClusterContext,
  receipt: { readonly to: string; readonly from: string; readonly endLsn: Lsn },
  sql: SqlClient,
): Promise<void> {
  const { to, from, endLsn } = receipt
  await takeStep(context, proveTold(from, to, endLsn), async () => {
    const reached = await waitForEnd(context, sql, endLsn)
    if (reached !== undefined && reached >= endLsn) return
    const has = reached === undefined ? 'nothing' : formatLsn(reached)
    throw new BackstayError(
      'TIMEOUT',
      `"${to}" did not receive the end of the WAL of "${from}": it has ${has} of ${formatLsn(endLsn)}`,
      {
        hint: 'Look at the network between the two, and for what holds up its replay (its log); then try again.',
      },
    )
  })
}

/**
 * How far the candidate came. Ends early when nothing more can come: it is cut off, and has
 * replayed all it has.
 */
async function waitForEnd(
  context: ClusterContext,
  sql: SqlClient,
  endLsn: Lsn,
): Promise<Lsn | undefined> {
  const { clock, signal } = context
  let reached: Lsn | undefined
  let idleSinceMs: number | undefined
  await until(
    async () => {
      const row = await sql.one<{ replayed: Lsn | null; hasMore: boolean }>(RECEIPT_QUERY)
      reached = row.replayed ?? undefined
      if (reached !== undefined && reached >= endLsn) return true
      idleSinceMs = row.hasMore ? undefined : (idleSinceMs ?? clock.monotonic())
      return idleSinceMs !== undefined && clock.monotonic() - idleSinceMs > CUT_OFF_MS
    },
    { clock, signal, timeoutMs: RECEIPT_TIMEOUT_MS, intervalMs: 5 },
  )
  return reached
}

const RECEIPT_QUERY = `
SELECT pg_last_wal_replay_lsn() AS replayed,
       EXISTS (SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming')
         OR coalesce(pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn(), false) AS "hasMore"`

/**
 * What commits may wait for: the others and the old primary follow at once. A failure here is met
 * again by `up`, which comes next and tells of it.
 */
async function bringAlong(context: ClusterContext, course: HandOver): Promise<void> {
  const { journal, from, others } = course
  const { wanted } = context
  await Promise.allSettled([
    ...others.map(async (other) => applySteps(context, followSteps(wanted, other, journal.to))),
    ...(from === undefined ? [] : [applySteps(context, [startStep(journal.from)])]),
  ])
  await takeStep(context, checkpointTold(journal.to), async () =>
    checkpoint(context, wantedServer(wanted, journal.to)),
  )
}
