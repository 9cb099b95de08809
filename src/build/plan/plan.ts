/**
 * What has to be done so that the cluster as found becomes the cluster as wanted. Pure: decides,
 * touches nothing.
 */
import { quotedNames } from '../../util/quoted-names.ts'
import type { ClusterFound, ServerFound } from '../../cluster/found.ts'
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { findLeader, isMember, type Leader } from '../../cluster/leader.ts'
import { attachStep, type PrimaryOfPlan } from './attach-plan.ts'
import { planBuild } from './build-plan.ts'
import { planKept } from './kept-plan.ts'
import { leftProblems } from './left-plan.ts'
import { planCloneFrom } from './backup-clone-plan.ts'
import { planPrimary } from './primary-plan.ts'
import { blocker, type Problem, warning } from '../../cluster/problem.ts'
import { rolesWanted } from '../../cluster/wanted-roles.ts'
import { installSteps } from './install-plan.ts'
import { planService, planServiceUser } from './backup-host-plan.ts'
import { planOwnService } from './own-service-plan.ts'
import { planClients, planSeat } from './seat-plan.ts'
import { isHopeless, isOnlyItsWord, serverProblems } from './server-problems.ts'
import type { ServerPlan } from './server-plan.ts'
import { slotProblems } from '../../cluster/wanted-slots.ts'
import { planStandby } from './standby-plan.ts'
import { addressProblems } from './address-problems.ts'
import { planTidying } from './tidy-plan.ts'
import { planRepository } from './repository-plan.ts'
import { planFetching, planWays } from './way-plan.ts'
import { type Step, step } from './step.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'

/** The steps in the order they are done, and what stands in the way. */
export interface Plan {
  /**
   * Empty when nothing is to be done, and when a problem of severity `error` forbids everything.
   */
  readonly steps: readonly Step[]
  readonly problems: readonly Problem[]
  /** Name of the server that is, or is to be, the primary; undefined while undecided. */
  readonly primary: string | undefined
}

/** Plans. Two calls with the same arguments give the same plan. */
export function makePlan(wanted: ClusterWanted, found: ClusterFound): Plan {
  const early = [
    ...slotProblems(wanted),
    ...addressProblems(wanted),
    ...inspectionProblems(wanted, found),
    ...leftProblems(wanted, found),
  ]
  const leader = findLeader(wanted, found)
  if (leader.kind === 'undecided') {
    return { steps: [], problems: [...early, ...leader.problems], primary: undefined }
  }
  const primary = primaryOf(wanted, leader)
  const parts = [
    planPasswords(wanted, found),
    { steps: installSteps(wanted, found.servers), problems: [] },
    planServiceUser(wanted, found.backupHost),
    planRepository(wanted, found),
    ...planServers(wanted, found, { leader, primary }),
    ...found.servers.map((server) =>
      planTidying(wantedServer(wanted, server.name), { found: server, primary }),
    ),
    planService(wanted, found.backupHost),
    planOwnService(wanted, found),
    planSeat(wanted, found.backupHost, primary.wanted),
    planWays(wanted, found),
    planClients(wanted, found.clients),
    planFetching(found, primary, wanted),
    planKept(wanted, found),
  ]
  const problems = [...early, ...parts.flatMap((part) => part.problems)]
  const isBlocked = problems.some((problem) => problem.severity === 'error')
  return {
    steps: isBlocked
      ? []
      : withoutRepeats(
          wanted,
          parts.flatMap((part) => part.steps),
        ),
    problems,
    primary: primary.wanted.name,
  }
}

/**
 * Servers on one machine may share a directory (the Unix sockets') and Backstay: both are made
 * once.
 */
function withoutRepeats(wanted: ClusterWanted, steps: readonly Step[]): readonly Step[] {
  const seen = new Set<string>()
  return steps.filter((entry) => {
    const what = sharedThing(entry)
    if (what === undefined) return true
    const server = wanted.servers.find(({ name }) => name === entry.server)
    const place = `${server?.host.address ?? entry.server}:${what}`
    return !seen.has(place) && seen.add(place)
  })
}

function sharedThing(entry: Step): string | undefined {
  if (entry.action === 'directory' || entry.action === 'keep-state') return entry.path
  if (entry.action === 'seat-file') return entry.path
  return entry.action === 'package' && entry.use === 'clone' ? entry.version : undefined
}

function primaryOf(
  wanted: ClusterWanted,
  leader: Exclude<Leader, { kind: 'undecided' }>,
): PrimaryOfPlan {
  return leader.kind === 'build'
    ? { wanted: wantedServer(wanted, leader.name), found: undefined }
    : { wanted: wantedServer(wanted, leader.server.name), found: leader.server }
}

function inspectionProblems(wanted: ClusterWanted, found: ClusterFound): readonly Problem[] {
  return found.servers.flatMap((server) =>
    server.hostError === undefined
      ? serverProblems(wanted, found, server)
      : [
          warning(server.name, {
            code: server.hostError.code,
            message: `Cannot look at server "${server.name}": ${server.hostError.message}`,
            hint: server.hostError.hint,
          }),
        ],
  )
}

/** Passwords are made once; afterwards they are only kept. */
function planPasswords(wanted: ClusterWanted, found: ClusterFound): ServerPlan {
  const { superuser } = wanted.postgres
  const roles = [superuser, ...rolesWanted(wanted).map((role) => role.name)]
  const missing = roles.filter((role) => !found.passwordRoles.includes(role))
  if (missing.length === 0) return { steps: [], problems: [] }
  const isBuilt = found.servers.some((server) => isMember(found, server))
  if (isBuilt && missing.includes(superuser)) {
    const problem = blocker(undefined, {
      code: 'POSTGRES_AUTH',
      message: `Cannot log in to cluster "${wanted.name}": "${wanted.stateDirectory}/passwords" has no password for "${superuser}"`,
      hint: `Put the line *:*:*:${superuser}:<password> into that file (mode 600).`,
    })
    return { steps: [], problems: [problem] }
  }
  const text = {
    title: `generate passwords for ${quotedNames(missing)}`,
    reason: `they are kept in ${wanted.stateDirectory}/passwords (mode 600)`,
    diff: missing.map((role) => ({ sign: '+' as const, text: `password of ${role}` })),
  }
  return { steps: [step(undefined, { action: 'passwords', roles: missing }, text)], problems: [] }
}

/**
 * Standbys that exist come before the primary: a limit that grows has to grow on them first
 * (cluster/settings.ts). New ones, and stopped ones, come after it: they need it running.
 */
function planServers(
  wanted: ClusterWanted,
  found: ClusterFound,
  place: { leader: Exclude<Leader, { kind: 'undecided' }>; primary: PrimaryOfPlan },
): readonly ServerPlan[] {
  const { leader, primary } = place
  const others = found.servers.filter(
    (server) => server.name !== primary.wanted.name && server.hostError === undefined,
  )
  const primaryFound = found.servers.find((server) => server.name === primary.wanted.name)
  const lead =
    leader.kind === 'found'
      ? planPrimary(wanted, primary.wanted, leader.server)
      : planBuild(wanted, primary.wanted, primaryFound as ServerFound)
  const restarts = lead.steps.some(({ action }) => action === 'restart')
  const plans = others.map((server) => ({
    server,
    plan: planOther(wanted, found, { server, primary }),
  }))
  const running = plans.filter(({ server }) => server.running !== undefined)
  const stopped = plans.filter(({ server }) => server.running === undefined)
  const returning = restarts ? stopped.filter(({ server }) => isMember(found, server)) : []
  const { first, last } = aroundRestart(lead, {
    isLate: returning.length > 0,
    away: found.servers.filter(({ hostError }) => hostError !== undefined),
  })
  return [
    ...running.map(({ plan }) => beforePrimary(plan)),
    first,
    ...returning.map(({ plan }) => plan),
    last,
    ...running.map(({ server, plan }) =>
      afterPrimary(plan, restarts && isMember(found, server) ? { server, primary } : undefined),
    ),
    ...stopped.filter((one) => !returning.includes(one)).map(({ plan }) => plan),
  ]
}

/**
 * A primary is not restarted while a standby that should be there is not: one that is stopped comes
 * up first, and for one that cannot be reached the restart waits. Whatever else the primary needs
 * is done at once.
 */
function aroundRestart(
  lead: ServerPlan,
  standbys: { readonly isLate: boolean; readonly away: readonly ServerFound[] },
): { readonly first: ServerPlan; readonly last: ServerPlan } {
  const nothing: ServerPlan = { steps: [], problems: [] }
  const restart = lead.steps.find(({ action }) => action === 'restart')
  const [away] = standbys.away
  if (restart === undefined || (!standbys.isLate && away === undefined)) {
    return { first: lead, last: nothing }
  }
  const first = { ...lead, steps: lead.steps.filter((entry) => entry !== restart) }
  if (away === undefined) return { first, last: { steps: [restart], problems: [] } }
  const problem = warning(restart.server, {
    code: 'NOT_READY',
    message: `"${restart.server ?? ''}" needs a restart (${restart.reason}), which waits until standby "${away.name}" can be reached`,
    hint: 'Bring that server back, or take it out of the cluster file, and run backstay up again.',
  })
  return { first, last: { steps: [], problems: [problem] } }
}

function planOther(
  wanted: ClusterWanted,
  found: ClusterFound,
  place: { readonly server: ServerFound; readonly primary: PrimaryOfPlan },
): ServerPlan {
  const { server, primary } = place
  const wish = wantedServer(wanted, server.name)
  if (isMember(found, server)) {
    return planStandby(wanted, wish, { found: server, primary })
  }
  const { state } = server.directory
  const isUnclear = state === 'data' || state === 'foreign' || state === 'unknown'
  if (isUnclear || isHopeless(server) || isOnlyItsWord(wish, server)) {
    return { steps: [], problems: [] }
  }
  // A stopped primary shows its roles and slots only once it runs: the clone is planned in the next
  // round.
  if (primary.found !== undefined && primary.found.sql === undefined) {
    return { steps: [], problems: [] }
  }
  return planCloneFrom(wanted, found, { server: wish, found: server, primary })
}

function beforePrimary(plan: ServerPlan): ServerPlan {
  return { ...plan, steps: plan.steps.filter((entry) => entry.action !== 'attach') }
}

/** The waits of a standby; one more when the primary's restart interrupts it (`interrupted`). */
function afterPrimary(
  plan: ServerPlan,
  interrupted: { readonly server: ServerFound; readonly primary: PrimaryOfPlan } | undefined,
): ServerPlan {
  const waits = plan.steps.filter((entry) => entry.action === 'attach')
  const isHopeless = plan.problems.length > 0 && plan.steps.length === 0
  if (interrupted === undefined || waits.length > 0 || isHopeless)
    return { problems: [], steps: waits }
  const { server, primary } = interrupted
  const reason = `"${primary.wanted.name}" restarts`
  return { problems: [], steps: [attachStep(server.name, primary, reason)] }
}
