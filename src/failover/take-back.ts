/**
 * What a switchover that failed ends with: the old primary serves again, unless somebody else
 * changed roles meanwhile.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { lookCluster } from '../cluster/look/look.ts'
import { closeJournal, type SwitchoverJournal } from '../cluster/journal.ts'
import { lookLines } from './line.ts'
import { mayBeOvertaken } from './overtaken.ts'
import type { Lost, RolesLock } from './role-lock.ts'
import { rollBack } from './roll-back.ts'

/** How far it came: what has to be taken back when it fails. */
export interface SwitchoverReached {
  /** Undefined while it serves. */
  stopAskedAtMs: number | undefined
  isPromotionAsked: boolean
}

/** What is taken back. */
export interface Failed {
  readonly journal: SwitchoverJournal
  readonly roles: RolesLock
  readonly reached: SwitchoverReached
}

/** The error to throw once everything is taken back. */
export async function takeBack(
  context: ClusterContext,
  { journal, reached, roles }: Failed,
  error: unknown,
): Promise<unknown> {
  const reason = error instanceof Error ? error.message : String(error)
  if (reached.stopAskedAtMs === undefined && journal.phase === 'prepare') {
    await closeJournal(context)
    return error
  }
  try {
    const lost = await roles.holdForReturn(journal.from)
    if (lost.isLost) await requireNobodyElse(context, journal, lost)
    await rollBack(context, journal, { isAsked: reached.isPromotionAsked })
  } catch (second) {
    const why = second instanceof Error ? second.message : String(second)
    return new BackstayError(
      'UNFINISHED',
      `The switchover to "${journal.to}" failed (${reason}), and "${journal.from}" does not serve again yet: ${why}`,
      { hint: 'Run backstay switchover again: it goes on from there.', cause: error },
    )
  }
  if (!isBackstayError(error)) return error
  return new BackstayError(
    error.code,
    `The switchover to "${journal.to}" was taken back, "${journal.from}" is primary again: ${reason}`,
    { hint: error.hint, details: error.details, cause: error },
  )
}

/**
 * Nobody else did, as far as can be seen. Who cannot be looked at counts only where the servers
 * took this process for gone: else nobody could get the lock of those that answer.
 */
async function requireNobodyElse(
  context: ClusterContext,
  journal: SwitchoverJournal,
  { wasHeldUp }: Lost,
): Promise<void> {
  const found = await lookCluster(context, { forPlan: false })
  const lines = await lookLines(context, found)
  const away = found.servers.find(({ directory }) => directory.state === 'unknown')
  const unseen = wasHeldUp && away !== undefined ? `"${away.name}" cannot be looked at` : undefined
  const why = mayBeOvertaken(journal, found, lines) ?? unseen
  if (why === undefined) return
  throw new BackstayError(
    'NOT_READY',
    `the lock on changes of roles was lost, somebody else may have changed roles, and ${why}`,
    { hint: 'Run backstay status, then backstay switchover again.' },
  )
}
