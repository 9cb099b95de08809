/**
 * Stops the cluster.
 *
 * The primary goes first, with a fast shutdown: its WAL senders live until the connected standbys
 * and receivers have everything, the shutdown checkpoint included. Whoever is started first
 * afterwards has all of it, and the old primary can follow without being rewound. The other way
 * round the standbys would miss the primary's last WAL. Between the two comes whatever receives WAL
 * for the backup server.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound, ServerFound } from '../cluster/found.ts'
import { applySteps } from './apply.ts'
import { lockCluster } from '../cluster/lock.ts'
import { lookCluster } from '../cluster/look/look.ts'
import { findLeader, isMember, isPrimaryLike } from '../cluster/leader.ts'
import { type Problem, warning } from '../cluster/problem.ts'
import { type Step, step } from './plan/step.ts'

/** What else is stopped, by whoever runs it. */
export interface DownOptions {
  /** Called between the primary and the standbys. */
  readonly stopReceiver?: () => Promise<void>
  /**
   * Asked when base backups are under way, with a sentence for each: whether they may break off.
   * Not asked: they may not.
   */
  readonly mayBreakOff?: (backups: readonly string[]) => Promise<boolean>
}

/** What was stopped, and what stood in the way of the rest. */
export interface DownResult {
  /** In order. */
  readonly stopped: readonly string[]
  /** Servers that could not be looked at. */
  readonly problems: readonly Problem[]
}

/**
 * Stops every running server of the cluster. One that does not run is not an error.
 * @throws NEEDS_CONFIRMATION before anything is stopped, when a base backup would break off.
 */
export async function takeDown(
  context: ClusterContext,
  options: DownOptions = {},
): Promise<DownResult> {
  await using lock = await lockCluster(context, 'down')
  void lock
  await refuseToBreakOff(context, options)
  return await stopAll(context, options)
}

async function refuseToBreakOff(
  context: ClusterContext,
  { mayBreakOff }: DownOptions,
): Promise<void> {
  const backups = backupsUnderWay(await lookCluster(context, { forPlan: false }))
  const [first] = backups
  if (first === undefined || (await mayBreakOff?.(backups)) === true) return
  throw new BackstayError(
    'NEEDS_CONFIRMATION',
    `Will not stop cluster "${context.wanted.name}" unasked: ${first}, and would break off`,
    { hint: 'Wait until it has ended; or break it off: backstay down --yes', details: { backups } },
  )
}

/** A sentence for each base backup that a server of the cluster is sending. Pure. */
function backupsUnderWay({ servers }: ClusterFound): readonly string[] {
  return servers.flatMap(({ name, sql }) =>
    (sql?.senders ?? [])
      .filter(({ state }) => state === 'backup')
      .map(({ applicationName, clientAddress }) => {
        const from = clientAddress === undefined ? '' : ` at ${clientAddress}`
        return `"${applicationName}"${from} takes a base backup from "${name}"`
      }),
  )
}

/** The same for a caller who holds the lock. */
export async function stopAll(context: ClusterContext, options: DownOptions): Promise<DownResult> {
  const found = await lookCluster(context, { forPlan: false })
  const { primaries, standbys } = stopSteps(context, found)
  await applySteps(context, primaries)
  await options.stopReceiver?.()
  await applySteps(context, standbys)
  return {
    stopped: [...primaries, ...standbys].map(({ server }) => server ?? ''),
    problems: found.servers.flatMap(silentProblem),
  }
}

/** What `down` would do. Pure. */
export function stopSteps(
  context: Pick<ClusterContext, 'wanted'>,
  found: ClusterFound,
): { readonly primaries: readonly Step[]; readonly standbys: readonly Step[] } {
  const leader = findLeader(context.wanted, found)
  const leads = (server: ServerFound): boolean =>
    (leader.kind === 'found' && leader.server.name === server.name) ||
    (isMember(found, server) && isPrimaryLike(server))
  const running = found.servers.filter(
    (server) => server.running !== undefined && isMember(found, server),
  )
  return {
    primaries: running.filter(leads).map((server) => stop(server, 'primary')),
    standbys: running.filter((server) => !leads(server)).map((server) => stop(server, 'standby')),
  }
}

function stop(server: ServerFound, role: string): Step {
  const text = { title: `stop the ${role}`, reason: 'asked for' }
  return step(server.name, { action: 'stop' }, text)
}

function silentProblem(server: ServerFound): readonly Problem[] {
  if (server.hostError === undefined) return []
  const { code, message, hint } = server.hostError
  return [
    warning(server.name, {
      code,
      message: `Cannot stop server "${server.name}": ${message}`,
      hint,
    }),
  ]
}
