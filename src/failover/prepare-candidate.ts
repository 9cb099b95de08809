/**
 * Everything of a switchover that can be done while the primary still serves, so that the time
 * without one is short.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatSize } from '../util/size.ts'
import { until } from '../util/until.ts'
import { applySteps, takeStep } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import type { MemberFound } from '../cluster/leader.ts'
import type { Step } from '../build/plan/step.ts'
import { dropSteps, pointSteps, slotSteps } from './follow.ts'
import { checkpoint } from './promote.ts'
import type { SwitchPlan } from './switch-plan.ts'
import { checkpointTold, nearTold } from './switch-steps.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** A standby this near has the rest before the primary has shut down. */
const NEAR_BYTES = 1024 * 1024
const CATCH_UP_TIMEOUT_MS = 60_000

/**
 * Slots on the candidate, the way to it on the primary, checkpoints on both, and the candidate
 * near.
 * @returns the primary as it is found afterwards.
 * @throws TIMEOUT when the candidate does not come near.
 */
export async function prepareCandidate(
  context: ClusterContext,
  plan: SwitchPlan,
): Promise<MemberFound> {
  const { from, to } = plan
  const { steps, pointed } = pointSteps(context.wanted, from, to.name)
  const { slots } = to.sql
  const made = slotSteps(context.wanted, { to: to.name, slots, oldSlots: from.sql.slots })
  try {
    await applySteps(context, [...made, ...steps])
    await makeReady(context, plan)
    return pointed
  } catch (error) {
    // On a standby that stays one they would only keep WAL for nobody.
    if (!context.signal.aborted) await applySteps(context, dropSteps(to.name, slotsOf(made)))
    throw error
  }
}

function slotsOf(steps: readonly Step[]): readonly string[] {
  return steps.flatMap((entry) => (entry.action === 'slot' ? [entry.slot] : []))
}

async function makeReady(context: ClusterContext, { from, to }: SwitchPlan): Promise<void> {
  for (const { name } of [from, to]) {
    await takeStep(context, checkpointTold(name), async () =>
      checkpoint(context, wantedServer(context.wanted, name)),
    )
  }
  await takeStep(context, nearTold(to.name), async () => catchUp(context, from.name, to.name))
  await requireReplay(context, to.name)
}

/**
 * Looked at once more: a standby that does not replay would be waited for while nobody can write.
 */
async function requireReplay(context: ClusterContext, name: string): Promise<void> {
  await using sql = await openAdminSql(context, wantedServer(context.wanted, name))
  const { paused } = await sql.one<{ paused: boolean }>(
    'SELECT pg_is_wal_replay_paused() AS paused',
  )
  if (!paused) return
  throw new BackstayError(
    'NOT_READY',
    `Will not switch over to "${name}": its WAL replay is paused`,
    {
      hint: 'Nothing was changed. Run there: SELECT pg_wal_replay_resume()',
    },
  )
}

async function catchUp(context: ClusterContext, from: string, to: string): Promise<void> {
  const { clock, signal, wanted } = context
  await using primary = await openAdminSql(context, wantedServer(wanted, from))
  let behindBytes: number | null = null
  const isNear = await until(
    async () => {
      const [row] = await primary.query<{ behind: number | null }>(
        `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::int8 AS behind
           FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'`,
        [to],
      )
      behindBytes = row?.behind ?? null
      return behindBytes !== null && behindBytes <= NEAR_BYTES
    },
    { clock, signal, timeoutMs: CATCH_UP_TIMEOUT_MS, intervalMs: 50 },
  )
  if (isNear === true) return
  const found =
    behindBytes === null ? 'it does not stream' : `it is ${formatSize(behindBytes)} behind`
  throw new BackstayError(
    'TIMEOUT',
    `Will not switch over to "${to}": after ${CATCH_UP_TIMEOUT_MS / 1000} s ${found}`,
    { hint: 'Nothing was changed. Try again when less is written, or see what slows the standby.' },
  )
}
