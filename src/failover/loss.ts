/**
 * What a failover loses, and whether that is allowed. Pure.
 */
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { quotedNames } from '../util/quoted-names.ts'
import { formatSize } from '../util/size.ts'
import { blocker, type Problem } from '../cluster/problem.ts'
import { type FailoverPlan, isOnLine } from './failover-plan.ts'
import { describeLine, type LineRelation } from './line.ts'
import { agreedQuorum, isCovered, parseQuorum, type Quorum, reportersOf } from './quorum.ts'

/** What is known of the WAL once the old primary can write no more. */
export interface LossFacts {
  readonly plan: FailoverPlan
  /**
   * End of the WAL in the old primary's directory; undefined when it cannot be read, or not be
   * told.
   */
  readonly primaryEndLsn: Lsn | undefined
  /** Why it cannot be told, one sentence without full stop. */
  readonly primaryDoubt?: string | undefined
  /** Whether that WAL is not what the candidate has, although both are on one timeline. */
  readonly isOther?: boolean
  /** Furthest end of anything that can be handed to the candidate, its own included. */
  readonly reachableEndLsn: Lsn
  /** Names that answered for the WAL they hold: standbys, the backup server. */
  readonly reporters: readonly string[]
  /**
   * Standbys that came from a backup and have not streamed since: what their predecessors confirmed
   * they need not have. They do not report.
   */
  readonly fetching?: readonly string[]
  /** Names of those whose WAL is another than the candidate's on the same timeline. */
  readonly parted?: readonly string[]
  /** synchronous_standby_names as it was last seen in force on the old primary. */
  readonly synchronousNames: string
  /** The candidate's own. */
  readonly candidateNames: string
  /**
   * Whose commits did not wait for a standby's disk there all the same: '' for the default of the
   * server.
   */
  readonly asynchronous?: readonly string[]
}

/** What a failover loses. */
export interface Loss {
  /** Whether the old primary's own WAL was read to its end and all of it can be handed on. */
  readonly isAllRead?: true
  /** `none`: proved; `some`: so many bytes of WAL; `unknown`: nobody can say. */
  readonly kind: 'none' | 'some' | 'unknown'
  readonly bytes: number | undefined
  /** One sentence without full stop. */
  readonly text: string
  /** Who has other WAL than the candidate, where that is why: one of them may be the right one. */
  readonly parted?: readonly string[]
}

/**
 * Judges what of the old primary's WAL the candidate will never have: `none` is said only of what
 * is proved. Pure.
 */
export function judgeLoss(facts: LossFacts): Loss {
  const { plan, primaryEndLsn, reachableEndLsn } = facts
  const from = plan.from.name
  if (plan.relation !== 'same') return { kind: 'unknown', bytes: undefined, text: offLine(plan) }
  if (primaryEndLsn !== undefined) {
    if (primaryEndLsn <= reachableEndLsn) {
      const text = `the WAL of "${from}" ends at ${formatLsn(primaryEndLsn)}, and all of it is there`
      return { ...none(text), isAllRead: true }
    }
    const bytes = Number(primaryEndLsn - reachableEndLsn)
    const text = `${formatSize(bytes)} of WAL that "${from}" wrote would be lost`
    return { kind: 'some', bytes, text }
  }
  const { parted = [] } = facts
  if (parted.length > 0 && facts.isOther !== true) {
    return { kind: 'unknown', bytes: undefined, text: apart(plan, parted), parted }
  }
  const { asynchronous = [] } = facts
  // A standby confirms by its position: what it confirmed of such a primary is not what it has.
  const quorum = facts.isOther === true ? undefined : quorumOf(facts)
  const there = quorum === undefined ? [] : reportersOf(quorum, facts.reporters)
  if (quorum !== undefined && isCovered(quorum, facts.reporters)) {
    const { count, names } = quorum
    return none(
      `each commit that waited was confirmed by ${count} of ${names.length} (${names.join(', ')}), and ${there.length} of them answer: one of them has it${notWaiting(asynchronous)}`,
    )
  }
  const doubt =
    facts.primaryDoubt === undefined ? '' : ` (of the WAL of "${from}", ${facts.primaryDoubt})`
  if (facts.isOther === true) {
    const text = `"${plan.to.name}" does not have what "${from}" wrote last, and nobody can say how much that is${doubt}`
    return { kind: 'unknown', bytes: undefined, text }
  }
  const rule =
    quorum === undefined
      ? whyNoQuorum(facts)
      : `each commit that waited was confirmed by ${quorum.count} of ${quorum.names.length}, but only ${there.length} of them answer${newcomers(facts)}`
  return {
    kind: 'unknown',
    bytes: undefined,
    text: `what "${from}" wrote after ${formatLsn(reachableEndLsn)} would be lost, and nobody can say how much that is: ${rule}${doubt}`,
  }
}

function newcomers({ fetching = [] }: LossFacts): string {
  if (fetching.length === 0) return ''
  return ` for it: ${quotedNames(fetching)} came from a backup and has not streamed since`
}

function apart({ from, to }: FailoverPlan, parted: readonly string[]): string {
  return `the WAL of ${quotedNames(parted)} is another than that of "${to.name}" on the same timeline: one was set back to an older state and the other was not, or one is damaged, and nobody can say which has what "${from.name}" committed`
}

function quorumOf(facts: LossFacts): Quorum | undefined {
  const { plan, synchronousNames, candidateNames, asynchronous = [] } = facts
  if (asynchronous.includes('')) return undefined
  return agreedQuorum({
    primary: { name: plan.from.name, names: synchronousNames },
    candidate: { name: plan.to.name, names: candidateNames },
  })
}

function whyNoQuorum({ plan, synchronousNames, asynchronous = [] }: LossFacts): string {
  return asynchronous.includes('') || parseQuorum(synchronousNames) === undefined
    ? 'its commits did not wait until a standby had them on disk'
    : `its commits waited when it was last seen, but by the settings of "${plan.to.name}" that was changed since`
}

/** What a session sets for itself is nowhere to be read afterwards. */
function notWaiting(configured: readonly string[]): string {
  const known = configured.length === 0 ? '' : `, as configured for ${configured.join(', ')}`
  return `; commits with synchronous_commit = off, local or remote_write${known} did not wait until a standby had them on disk, and their last ones may be lost`
}

const OFF_LINE: Readonly<Record<Exclude<LineRelation, 'same'>, string>> = {
  ahead: 'which somebody wrote who was primary after it: what he committed last cannot be told',
  behind: 'that timeline was left by the primary, and what came after is not on it',
  apart: 'it went another way than the primary',
  unknown: 'and whether the primary was on the same line cannot be told',
}

function offLine({ from, to, relation, onLine, lines }: FailoverPlan): string {
  const there = lines.get(to.name)
  const where =
    there === undefined ? 'its timeline cannot be looked at' : `it is on ${describeLine(there)}`
  const why = OFF_LINE[relation as keyof typeof OFF_LINE]
  const right =
    onLine.length === 0 || relation === 'ahead'
      ? ''
      : `; on the line of "${from.name}": ${onLine.join(', ')}`
  const whose = relation === 'ahead' ? 'was committed' : `"${from.name}" committed`
  return `"${to.name}" may lack what ${whose}: ${where}, ${why}${right}`
}

function none(text: string): Loss {
  return { kind: 'none', bytes: 0, text }
}

/** What the operator has said already. */
export interface Consent {
  readonly allowDataLoss: boolean
  /** The old primary is off, or cut off from everybody who writes. */
  readonly primaryIsDead: boolean
}

/** Whether it may be done. Undefined when it may. */
export function forbids(plan: FailoverPlan, loss: Loss, consent: Consent): Problem | undefined {
  const from = plan.from.name
  if (consent.allowDataLoss) return undefined
  if (loss.kind !== 'none') {
    const right = plan.onLine.find((name) => name !== plan.to.name)
    const isOff = right !== undefined && !isOnLine(plan.relation)
    const back = plan.relation === 'ahead' ? 'the one that was primary last' : `"${from}"`
    const others = loss.parted ?? []
    const way =
      others.length > 0
        ? `Look at what ${quotedNames([plan.to.name, ...others])} hold, and take the right one with --to`
        : isOff
          ? `Take the one that is right: backstay failover --to ${right}`
          : `Bring ${back} back (backstay up)`
    return blocker(from, {
      code: 'DATA_LOSS',
      message: `Will not fail over to "${plan.to.name}": ${loss.text}`,
      hint: `${way}; or accept the loss: backstay failover --to ${plan.to.name} --allow-data-loss`,
    })
  }
  if (plan.fencing !== 'unreachable' || consent.primaryIsDead) return undefined
  return blocker(from, {
    code: 'DATA_LOSS',
    message: `Will not fail over to "${plan.to.name}": ${unreachable(plan)}`,
    hint: `Make sure that ${plan.away.length === 0 ? 'it is' : 'all of them are'} off, or cut off; then: backstay failover --to ${plan.to.name} --primary-is-dead`,
  })
}

function unreachable({ from, away }: FailoverPlan): string {
  if (away.length === 0) {
    return `the host of "${from.name}" does not answer, so it cannot be stopped, and it may still serve somebody`
  }
  return `the hosts of ${quotedNames([from.name, ...away])} do not answer, so they cannot be stopped, and one of them may still serve somebody`
}
