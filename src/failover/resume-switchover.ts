/**
 * Goes on with a switchover that died, from what the servers say: forward when the candidate was
 * promoted or can be, back when it cannot, from the beginning when the old primary never stopped.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { applySteps } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound, ServerFound } from '../cluster/found.ts'
import { foundServer } from '../cluster/found-server.ts'
import { isMember, isPrimaryLike } from '../cluster/leader.ts'
import { asStopped, followSteps } from './follow.ts'
import { type HandOver, handOver } from './hand-over.ts'
import { type GivingUp, requireLost } from './give-up-target.ts'
import { closeJournal, type SwitchoverJournal, unfinished } from '../cluster/journal.ts'
import { type Lines, lookLines } from './line.ts'
import { lookLocked } from './look-locked.ts'
import { overtakenBy, primaryBeside } from './overtaken.ts'
import { rollBack } from './roll-back.ts'
import { steadyContext } from './steady.ts'
import { standbysBeside } from './switch-plan.ts'

/**
 * Where an interrupted switchover ended: it is to be begun anew, it was undone, or the standby is
 * primary on `timeline`.
 */
export type Resumed =
  | { readonly kind: 'anew' }
  | { readonly kind: 'undone' }
  | { readonly kind: 'promoted'; readonly timeline: number }

/**
 * What becomes of an interrupted switchover: `forward` and `settle` bring it to its end, `back`
 * undoes it, `anew` begins it again, `overtaken` gives it up; the others are for an operator to
 * decide.
 */
export type WayOn =
  | 'overtaken'
  | 'anew'
  | 'forward'
  | 'back'
  | 'settle'
  | 'two-primaries'
  | 'unknown'

/**
 * Goes on.
 * @throws SPLIT_BRAIN, UNFINISHED when it cannot be told what happened; what handing over throws.
 */
export async function resumeSwitchover(
  context: ClusterContext,
  journal: SwitchoverJournal,
  consent: GivingUp,
): Promise<Resumed> {
  const { found, roles: held } = await lookLocked(context, { forPlan: true })
  await using roles = held
  const to = foundServer(found, journal.to)
  const lines = await lookLines(context, found)
  const way = wayOf(journal, found, lines)
  if (way === 'two-primaries') throw twoPrimaries(journal)
  if (way === 'overtaken')
    throw await overtaken(context, journal, overtakenBy(journal, found, lines))
  if (way === 'unknown') {
    if (!consent.targetIsDead) throw unfinishedBecause(journal, to)
    await requireLost(context, { journal, found }, consent)
    await rollBack(steadyContext(context), journal, { isAsked: false })
    return { kind: 'undone' }
  }
  if (way === 'anew') {
    await closeJournal(context)
    return { kind: 'anew' }
  }
  if (way === 'back') {
    await rollBack(steadyContext(context), journal, { isAsked: journal.phase === 'promote' })
    return { kind: 'undone' }
  }
  if (way === 'forward') return await goForward(context, { journal, roles }, found)
  await fence(context, found, journal)
  const directory = to.directory.state === 'data' ? to.directory.timeline : journal.timeline
  return { kind: 'promoted', timeline: to.sql?.timeline ?? directory }
}

async function goForward(
  context: ClusterContext,
  { journal, roles }: Pick<HandOver, 'journal' | 'roles'>,
  found: ClusterFound,
): Promise<Resumed> {
  const from = foundServer(found, journal.from)
  const others = standbysBeside(found, [journal.from, journal.to])
  const isThere = from.hostError === undefined && isMember(found, from)
  const course = { journal, from: isThere ? from : undefined, others, roles }
  const { timeline } = await handOver(context, course)
  return { kind: 'promoted', timeline }
}

/** Decides from facts. Pure. */
export function wayOf(
  journal: SwitchoverJournal,
  found: ClusterFound,
  lines: Lines = new Map(),
): WayOn {
  const from = foundServer(found, journal.from)
  const to = foundServer(found, journal.to)
  const serves = from.running !== undefined && isMember(found, from) && isPrimaryLike(from)
  if (primaryBeside(journal, found) !== undefined) return 'overtaken'
  const promoted = wasPromoted(journal, to)
  if (promoted === true) return serves ? 'two-primaries' : 'settle'
  const mayBe = journal.phase === 'promote' || journal.phase === 'settle'
  if (mayBe && promoted === undefined) return 'unknown'
  if (serves && journal.phase !== 'settle') return 'anew'
  if (overtakenBy(journal, found, lines) !== undefined) return 'overtaken'
  return journal.phase === 'settle' ? 'unknown' : wayOfStandby(journal, from, to)
}

/** The candidate was not promoted, and nobody serves. */
function wayOfStandby(journal: SwitchoverJournal, from: ServerFound, to: ServerFound): WayOn {
  if (from.hostError !== undefined && journal.endLsn === undefined) return 'unknown'
  return to.sql === undefined ? 'back' : 'forward'
}

/**
 * What is left to do is for whoever looks at all of them: nothing of this switchover may be gone on
 * with or taken back.
 */
async function overtaken(
  context: ClusterContext,
  journal: SwitchoverJournal,
  why = 'nobody knows by whom',
): Promise<BackstayError> {
  await closeJournal(context)
  return new BackstayError(
    'NOT_READY',
    `The switchover from "${journal.from}" to "${journal.to}" is given up: ${why}, somebody else changed roles meanwhile`,
    {
      hint: `Run backstay status; "${journal.from}" comes back with: backstay rejoin ${journal.from}`,
    },
  )
}

/** Whether the candidate has become the primary; undefined when that cannot be told. */
function wasPromoted(journal: SwitchoverJournal, to: ServerFound): boolean | undefined {
  if (to.sql !== undefined) return !to.sql.inRecovery
  if (to.directory.state !== 'data') return undefined
  const hasLeft = to.directory.timeline > journal.timeline
  if (hasLeft && !to.directory.isStandby) return true
  return hasLeft || !to.directory.isStandby || to.running !== undefined ? undefined : false
}

/** A primary that died between its stop and its fence is fenced now. */
async function fence(
  context: ClusterContext,
  found: ClusterFound,
  journal: SwitchoverJournal,
): Promise<void> {
  const from = foundServer(found, journal.from)
  if (from.hostError !== undefined || !isMember(found, from)) return
  if (from.running !== undefined || from.directory.isStandby) return
  await applySteps(context, followSteps(context.wanted, asStopped(from), journal.to))
}

function twoPrimaries({ from, to }: SwitchoverJournal): BackstayError {
  return new BackstayError(
    'SPLIT_BRAIN',
    `"${from}" and "${to}" are both primary after an interrupted switchover`,
    { hint: `Stop "${from}" at once; then run: backstay switchover` },
  )
}

function unfinishedBecause(journal: SwitchoverJournal, to: ServerFound): BackstayError {
  const { message } = unfinished(journal)
  const why = to.hostError?.message ?? to.sqlError?.message ?? 'it does not answer'
  return new BackstayError(
    'UNFINISHED',
    `${message}. Whether "${journal.to}" is primary now cannot be told: ${why}`,
    {
      hint: `Make the hosts of "${journal.from}" and "${journal.to}" answer; then run: backstay switchover. If "${journal.to}" is lost for good: backstay switchover --target-is-dead, which makes "${journal.from}" the primary again`,
    },
  )
}
