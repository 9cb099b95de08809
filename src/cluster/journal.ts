/**
 * What is written down before each step of a change of roles, so that one that died is finished or
 * undone by running it again. It lies in the state directory; what it says is checked against the
 * servers before anything is done.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ClusterContext } from './context.ts'

/**
 * Steps of a switchover, in order. Up to `prove` the old primary can serve again at any time; from
 * `promote` on only when it is known that the promotion did not happen. `stop` covers the mark as
 * well; `fence` is written only where the two could not be done in one command.
 */
export const SWITCHOVER_PHASES = ['prepare', 'stop', 'fence', 'prove', 'promote', 'settle'] as const

/** Steps of a failover, in order. */
export const FAILOVER_PHASES = ['fence', 'freeze', 'feed', 'promote', 'settle'] as const

/** Steps of a rejoin; each is a way that was begun and is not known to have ended. */
export const REJOIN_PHASES = ['follow', 'rewind', 'clone'] as const

/** A switchover under way. */
export interface SwitchoverJournal {
  readonly operation: 'switchover'
  readonly from: string
  readonly to: string
  /** The timeline that ends. */
  readonly timeline: number
  readonly phase: (typeof SWITCHOVER_PHASES)[number]
  /** End of the old primary's shutdown checkpoint record, `X/X`; known from `prove` on. */
  readonly endLsn?: string
  /** Slots of others that go along: they are dropped on the old primary at the end. */
  readonly carriedSlots: readonly string[]
  /** Logical slots that do not go along. */
  readonly lostSlots?: readonly string[]
  readonly startedAt: string
}

/** A failover under way. */
export interface FailoverJournal {
  readonly operation: 'failover'
  readonly from: string
  readonly to: string
  readonly timeline: number
  readonly phase: (typeof FAILOVER_PHASES)[number]
  readonly startedAt: string
}

/** A rejoin under way. */
export interface RejoinJournal {
  readonly operation: 'rejoin'
  readonly server: string
  readonly phase: (typeof REJOIN_PHASES)[number]
  readonly startedAt: string
}

/** Whatever is under way; never two at once. */
export type RoleJournal = SwitchoverJournal | FailoverJournal | RejoinJournal

/** The journal of an operation that did not end; undefined when nothing is under way. */
export async function readJournal({ state }: ClusterContext): Promise<RoleJournal | undefined> {
  return (await state.readJournal()) as RoleJournal | undefined
}

/** Writes it durably: what it announces is done only afterwards. */
export async function writeJournal(context: ClusterContext, journal: RoleJournal): Promise<void> {
  await context.state.writeJournal(journal)
  await context.crashPoint(`${journal.operation}.${journal.phase}`)
}

/** The operation has ended: done, or undone. */
export async function closeJournal({ state }: ClusterContext): Promise<void> {
  await state.removeJournal()
}

/** What an unfinished operation is, and the command that goes on with it, for people. */
export function tellUnfinished(journal: RoleJournal): string {
  return `Roles are half-way: ${describeJournal(journal)}; run: ${commandOf(journal)}`
}

function describeJournal(journal: RoleJournal): string {
  const { operation, phase, startedAt } = journal
  const what =
    operation === 'rejoin'
      ? `rejoin of "${journal.server}"`
      : `${operation} from "${journal.from}" to "${journal.to}"`
  return `a ${what}, begun ${startedAt}, stopped before its step "${phase}" was known to be done`
}

function commandOf(journal: RoleJournal): string {
  return journal.operation === 'rejoin'
    ? `backstay rejoin ${journal.server}`
    : `backstay ${journal.operation}`
}

/**
 * For everything else that changes the cluster: refuses while roles are half-way.
 * @throws UNFINISHED
 */
export async function refuseUnfinished(context: ClusterContext): Promise<void> {
  const journal = await readJournal(context)
  if (journal !== undefined) throw unfinished(journal)
}

/**
 * The refusal while roles are half-way, UNFINISHED: which change stopped at which step, and the
 * command that finishes or undoes it.
 */
export function unfinished(journal: RoleJournal): BackstayError {
  return new BackstayError('UNFINISHED', `Roles are half-way: ${describeJournal(journal)}`, {
    hint: `Run: ${commandOf(journal)}. It finishes or undoes it.`,
    details: { journal },
  })
}
