/**
 * Who a switchover goes from and to, what stands against it, and what should be known before. Pure.
 */
import type { ClusterFound } from '../cluster/found.ts'
import { findLeader, isMember, type MemberFound } from '../cluster/leader.ts'
import { makePlan } from '../build/plan/plan.ts'
import { blocker, type Problem, warning } from '../cluster/problem.ts'
import type { StepAction } from '../build/plan/step.ts'
import { type AnsweringServer, isAnswering } from '../cluster/replication.ts'
import { type Candidate, candidates } from '../cluster/takeover.ts'
import { lostSlots } from './lost-slots.ts'
import type { ClusterWanted } from '../cluster/wanted.ts'

/** PostgreSQL does not shut down before everything finished is archived. */
const WAITING_SEGMENTS_MAX = 128

/** A member that answers. */
export type AnsweringMember = MemberFound & AnsweringServer

/** What is going to be done. */
export interface SwitchPlan {
  readonly from: AnsweringMember
  readonly to: AnsweringMember
  /** The other standbys that answer; they will follow. */
  readonly others: readonly MemberFound[]
  readonly candidates: readonly Candidate[]
  /** Warnings: none of them stops it. */
  readonly notes: readonly Problem[]
}

/** The plan, or why there is none; `already` names the server that is the primary as asked. */
export type SwitchDecision =
  | { readonly kind: 'switch'; readonly plan: SwitchPlan }
  | { readonly kind: 'already'; readonly primary: string }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] }

/** Steps of `up` that do not have to be done before. */
const MAY_BE_OPEN: readonly StepAction['action'][] = [
  'attach',
  'drop-slot',
  'remove-aside',
  'remove-mark',
  'remove-note',
]

/** Decides. @param to the server asked for; the best candidate when left out. */
export function planSwitchover(
  wanted: ClusterWanted,
  found: ClusterFound,
  to: string | undefined,
): SwitchDecision {
  const unknown = unknownServer(wanted, to)
  if (unknown !== undefined) return { kind: 'refused', problems: [unknown] }
  const leader = findLeader(wanted, found)
  if (leader.kind === 'undecided') return { kind: 'refused', problems: leader.problems }
  const from = leader.kind === 'found' ? leader.server : undefined
  if (from === undefined || !isAnswering(from)) return refused(undefined, NO_PRIMARY)
  if (to === from.name) return { kind: 'already', primary: from.name }
  const ranked = candidates(wanted, found)
  const chosen = choose(found, ranked, to)
  if ('severity' in chosen) return { kind: 'refused', problems: [chosen] }
  const problems = [...primaryProblems(from), ...openSteps(wanted, found, [from.name, chosen.name])]
  if (problems.length > 0) return { kind: 'refused', problems }
  const notes = [...slotNotes(from, chosen), ...awayNotes(found, from.name)]
  const others = standbysBeside(found, [from.name, chosen.name])
  return { kind: 'switch', plan: { from, to: chosen, others, candidates: ranked, notes } }
}

/** A name that is nowhere in the cluster file is a slip of whoever typed it. */
export function unknownServer(
  wanted: ClusterWanted,
  name: string | undefined,
): Problem | undefined {
  if (name === undefined || wanted.servers.some((server) => server.name === name)) return undefined
  const names = wanted.servers.map((server) => `"${server.name}"`).join(', ')
  return blocker(undefined, {
    code: 'USAGE',
    message: `There is no server "${name}" in the cluster file: it names ${names}`,
    hint: 'Name one of these with --to.',
  })
}

/** Members that answer as standbys, but for those named. */
export function standbysBeside(
  found: ClusterFound,
  names: readonly string[],
): readonly AnsweringMember[] {
  return found.servers
    .filter((server) => isMember(found, server))
    .filter(isAnsweringMember)
    .filter(({ name, sql }) => sql.inRecovery && !names.includes(name))
}

/** Whether a member answers over SQL. */
export function isAnsweringMember(member: MemberFound): member is AnsweringMember {
  return isAnswering(member)
}

const NO_PRIMARY = {
  code: 'PRIMARY_MISSING',
  message: 'Cannot switch over: no server answers as the primary',
  hint: 'Run backstay status. When the primary is lost: backstay failover.',
} as const

function refused(
  server: string | undefined,
  text: { code: 'NOT_READY' | 'PRIMARY_MISSING'; message: string; hint: string },
): SwitchDecision {
  return { kind: 'refused', problems: [blocker(server, text)] }
}

function choose(
  found: ClusterFound,
  ranked: readonly Candidate[],
  to: string | undefined,
): AnsweringMember | Problem {
  const best = to === undefined ? ranked[0] : ranked.find(({ server }) => server === to)
  const server = found.servers.find(({ name }) => name === best?.server)
  if (best === undefined || server === undefined) {
    const who = to === undefined ? 'no standby answers' : `standby "${to}" does not answer`
    return notReady(to, `Cannot switch over: ${who}`)
  }
  if (best.obstacles.length > 0) {
    return notReady(
      best.server,
      `Cannot switch over to "${best.server}": ${best.obstacles.join('; ')}`,
    )
  }
  if (isMember(found, server) && isAnswering(server)) return server
  return notReady(best.server, `Cannot switch over to "${best.server}": it is of another cluster`)
}

function notReady(server: string | undefined, message: string): Problem {
  return blocker(server, {
    code: 'NOT_READY',
    message,
    hint: 'Run backstay up, then backstay status; when it says "could take over", try again.',
  })
}

/** What would make the shutdown slow, or break somebody's work off. */
function primaryProblems(from: AnsweringMember): readonly Problem[] {
  const problems: Problem[] = []
  const backups = from.sql.senders.filter(({ state }) => state === 'backup')
  for (const { pid, applicationName } of backups) {
    problems.push(
      blocker(from.name, {
        code: 'NOT_READY',
        message: `A base backup runs on "${from.name}" (pid ${pid}, "${applicationName}"): a switchover would break it off`,
        hint: 'Wait until it has ended.',
      }),
    )
  }
  const waiting = from.sql.archiver.readyCount ?? 0
  if (waiting > WAITING_SEGMENTS_MAX) {
    problems.push(
      blocker(from.name, {
        code: 'NOT_READY',
        message: `"${from.name}" has ${waiting} segments to archive: it would not shut down before they are archived`,
        hint: 'Mend its archive_command and wait; backstay check names the reason.',
      }),
    )
  }
  return problems
}

/**
 * A server that is not as the file says may lack what the other role needs: settings, access lines,
 * passwords.
 */
function openSteps(
  wanted: ClusterWanted,
  found: ClusterFound,
  names: readonly string[],
): readonly Problem[] {
  const { steps, problems } = makePlan(wanted, found)
  const errors = problems.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) return errors
  const open = steps.filter(
    ({ action, server }) => names.includes(server ?? '') && !MAY_BE_OPEN.includes(action),
  )
  if (open.length === 0) return []
  const titles = open.map(({ server, title }) => `${server}: ${title}`).join('; ')
  return [
    blocker(undefined, {
      code: 'NOT_READY',
      message: `Cannot switch over: the servers are not as the cluster file says (${titles})`,
      hint: 'Run backstay up first.',
    }),
  ]
}

/** Their readers would have to begin anew. */
function slotNotes(from: AnsweringMember, to: AnsweringMember): readonly Problem[] {
  return lostSlots(from.sql.slots, to.sql.slots).map(({ name }) =>
    lostSlotNote(name, { from: from.name, to: to.name }),
  )
}

/** Says that a logical slot does not go along. */
export function lostSlotNote(
  slot: string,
  { from, to }: { readonly from: string; readonly to: string },
): Problem {
  return warning(from, {
    code: 'SLOT_MISSING',
    message: `Logical slot "${slot}" of "${from}" is not on "${to}": its reader cannot go on there`,
    hint: 'From PostgreSQL 17 on a slot made with failover = true, and sync_replication_slots, are carried over.',
  })
}

function awayNotes(found: ClusterFound, from: string): readonly Problem[] {
  return found.servers.flatMap(({ name, hostError }) =>
    hostError === undefined || name === from
      ? []
      : [
          warning(name, {
            code: hostError.code,
            message: `"${name}" cannot be reached: it will not follow until it is back`,
            hint: 'Run backstay up when it is back.',
          }),
        ],
  )
}
