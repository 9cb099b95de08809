/**
 * Makes a standby anew from the primary, whatever lies in its directory now. What lies there is set
 * aside by a rename and goes only when the new standby streams. Foreign content never goes, nor
 * what may hold commits that nobody else has.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { stopServer } from '../host/postgres-control.ts'
import { formatSize } from '../util/size.ts'
import { applySteps } from '../build/apply.ts'
import { askedFor } from '../build/asked-for.ts'
import {
  discardAside,
  type Move,
  planAside,
  refuseOthersPlaces,
  rememberAside,
  setAside,
} from '../build/aside.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound, RoomFound, ServerFound } from '../cluster/found.ts'
import { foundServer } from '../cluster/found-server.ts'
import { lockCluster } from '../cluster/lock.ts'
import { lookCluster } from '../cluster/look/look.ts'
import { lookRoomFor } from '../cluster/look/look-room.ts'
import { findLeader, isMember, type MemberFound } from '../cluster/leader.ts'
import { makePlan, type Plan } from '../build/plan/plan.ts'
import { errorOf } from '../cluster/problem.ts'
import type { Step } from '../build/plan/step.ts'
import { refuseUnfinished } from '../cluster/journal.ts'
import { mayHoldMore } from './only-copy.ts'
import { instanceOf } from '../build/steps/act-context.ts'
import { bringUpLocked, stepsUntil, type UpResult } from '../build/up.ts'
import { moveWalOut } from '../build/wal-link.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

const STOP_TIMEOUT_MS = 10 * 60_000

/** What becomes of the old content. */
export interface RecloneOptions {
  /**
   * Remove it before the clone instead of keeping it until the new standby streams; for disks
   * without room for both.
   */
  readonly discardOld: boolean
  /** Keep it for good: it is known to hold what nobody else has. */
  readonly keepOld?: boolean
}

/** What bringing the clone up did, and what of the old directory is left. */
export interface RecloneResult extends UpResult {
  /** Where content was put that stays: it is foreign, or may hold commits that nobody else has. */
  readonly keptAside: readonly string[]
}

/**
 * Reclones `name`.
 * @throws SPLIT_BRAIN when it is the primary; DIRECTORY_FOREIGN, DATA_LOSS when something else than
 * an old standby would have to be discarded, or for a link that leads elsewhere; DIRECTORY_OWNER;
 * DISK_SPACE; PRIMARY_MISSING; what the plan of the clone says against it; what `bringUp` throws.
 */
export async function recloneStandby(
  context: ClusterContext,
  name: string,
  options: RecloneOptions,
): Promise<RecloneResult> {
  await using lock = await lockCluster(context, `reclone ${name}`)
  void lock
  await refuseUnfinished(context)
  return await recloneLocked(context, name, options)
}

/** The same for a caller who holds the lock. */
export async function recloneLocked(
  around: ClusterContext,
  name: string,
  options: RecloneOptions,
): Promise<RecloneResult> {
  const context = askedFor(around, name)
  const server = wantedServer(context.wanted, name)
  const { old, isOld, aside } = await planWithPrimary(context, name, options)
  if (old.running !== undefined) {
    const instance = await instanceOf(context, server)
    await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS, signal: context.signal })
  }
  // Remembered first: one that was never moved is not there to be removed, one forgotten would stay
  // for ever.
  if (isOld) await rememberAside(context, server, aside)
  await setAside(context, server, aside)
  await context.crashPoint('reclone.aside')
  if (options.discardOld) await discardAside(context, server, aside)
  const wal = aside.find(({ isWal }) => isWal === true)
  const judgedAsides = isOld ? aside.map(({ to }) => to) : []
  const result = await bringUpWithLink({ ...context, judgedAsides }, server, wal)
  return { ...result, keptAside: isOld ? [] : aside.map(({ to }) => to) }
}

/** What is known before anything is touched. */
interface ReclonePlan {
  readonly old: ServerFound
  readonly leader: MemberFound | undefined
  readonly isOld: boolean
  readonly aside: readonly Move[]
  /** Of the clone. */
  readonly steps: readonly Step[]
}

/**
 * What a stopped primary would refuse is not known: it is started before anything is moved, and all
 * is judged anew.
 */
async function planWithPrimary(
  context: ClusterContext,
  name: string,
  options: RecloneOptions,
): Promise<ReclonePlan> {
  const plan = await planReclone(context, name, options)
  const { leader, steps } = plan
  if (leader === undefined || leader.running !== undefined) return plan
  await applySteps(context, stepsUntil(steps, leader.name))
  const again = await planReclone(context, name, options)
  if (again.leader?.running === undefined) throw noAnswer(again.leader ?? leader)
  return again
}

async function planReclone(
  context: ClusterContext,
  name: string,
  options: RecloneOptions,
): Promise<ReclonePlan> {
  const found = await lookCluster(context, { forPlan: true })
  const server = wantedServer(context.wanted, name)
  const old = foundServer(found, name)
  const leader = refusePrimary(context, found, old)
  const isOld =
    options.keepOld !== true && isMember(found, old) && !(await mayHoldMore(context, old, leader))
  if (options.discardOld && !isOld) refuseToDiscard(found, server, old)
  const aside = await planAside(context, server, old.directory)
  const { steps } = await refusePredictable(context, found, { old, aside, ...options })
  await refuseOthersPlaces(context, server, { moves: aside, leader })
  return { old, leader, isOld, aside, steps }
}

async function bringUpWithLink(
  context: ClusterContext,
  server: ServerWanted,
  wal: Move | undefined,
): Promise<UpResult> {
  const result = await bringUpLocked(context)
  if (wal === undefined) return result
  await moveWalOut(context, server, wal.from)
  return await bringUpLocked(context)
}

/** Everything that would forbid the clone is looked for while the old server still runs. */
async function refusePredictable(
  context: ClusterContext,
  found: ClusterFound,
  course: RecloneOptions & { readonly old: ServerFound; readonly aside: readonly Move[] },
): Promise<Plan> {
  const { old, aside, discardOld } = course
  const room = await lookRoomFor(context, found, old)
  if (!discardOld) refuseShortage(old, room)
  await refuseMountPoints(context, wantedServer(context.wanted, old.name), aside)
  const moved = aside.map(({ from }) => from)
  const tablespaces = room?.tablespaces.map((each) =>
    moved.includes(each.target) ? { ...each, isOccupied: false } : each,
  )
  const emptied: ServerFound = {
    ...old,
    directory: { state: 'missing' },
    running: undefined,
    sql: undefined,
    sqlError: undefined,
    room: room && { shortages: [], tablespaces: tablespaces ?? [] },
  }
  const servers = found.servers.map((server) => (server.name === old.name ? emptied : server))
  const plan = makePlan(context.wanted, { ...found, servers })
  const errors = plan.problems.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw errorOf(errors)
  const leader = findLeader(context.wanted, found)
  if (leader.kind === 'found' && isSilent(leader.server)) throw noAnswer(leader.server)
  return plan
}

/** It runs and cannot be asked; one that does not run is started. */
function isSilent({ running, sql }: ServerFound): boolean {
  return running !== undefined && sql === undefined
}

function noAnswer({ name, running, sqlError }: ServerFound): BackstayError {
  const why = running === undefined ? 'it does not run' : 'it does not answer'
  return new BackstayError(
    'PRIMARY_MISSING',
    `Cannot clone from the primary "${name}": ${sqlError?.message ?? why}`,
    { hint: 'Run: backstay up' },
  )
}

/** While the old directory stays there has to be room for both. */
function refuseShortage(old: ServerFound, room: RoomFound | undefined): void {
  const [shortage] = room?.shortages ?? []
  if (shortage === undefined) return
  const { path, freeBytes, neededBytes } = shortage
  throw new BackstayError(
    'DISK_SPACE',
    `Cannot reclone server "${old.name}" beside its old directory: "${path}" has ${formatSize(freeBytes)} free, ${formatSize(neededBytes)} are needed`,
    { hint: 'Free space, or give up the old directory with --discard-old.' },
  )
}

/** A mount point cannot be renamed. */
async function refuseMountPoints(
  context: ClusterContext,
  server: ServerWanted,
  moves: readonly Move[],
): Promise<void> {
  const { host } = await context.machineOf(server)
  for (const { from } of moves) {
    const { exitCode } = await host.run(['mountpoint', '-q', '--', from])
    if (exitCode !== 0) continue
    throw new BackstayError(
      'NOT_READY',
      `Cannot set "${from}" of server "${server.name}" aside: a file system is mounted there`,
      { hint: 'Stop the server and move the content away yourself; then run: backstay up' },
    )
  }
}

/**
 * The one directory that must never be set aside is that of the primary. Gives back who that is, if
 * there is one.
 */
function refusePrimary(
  context: ClusterContext,
  found: ClusterFound,
  server: ServerFound,
): MemberFound | undefined {
  const { name } = server
  if (server.hostError !== undefined)
    throw new BackstayError(server.hostError.code, server.hostError.message)
  const leader = findLeader(context.wanted, found)
  if (leader.kind === 'undecided') throw errorOf(leader.problems)
  const isLeader = leader.kind === 'build' ? leader.name === name : leader.server.name === name
  if (!isLeader) return leader.kind === 'found' ? leader.server : undefined
  throw new BackstayError('SPLIT_BRAIN', `Will not reclone server "${name}": it is the primary`, {
    hint: 'Switch over to a standby first.',
  })
}

function refuseToDiscard(found: ClusterFound, server: ServerWanted, old: ServerFound): void {
  if (old.directory.state !== 'data' && old.directory.state !== 'foreign') return
  const action = `Will not discard directory "${server.directory}" of server "${server.name}"`
  const hint = 'Leave out --discard-old: it will be set aside. Or move it away yourself.'
  throw isMember(found, old)
    ? new BackstayError('DATA_LOSS', `${action}: it may hold commits that nobody else has`, {
        hint,
      })
    : new BackstayError('DIRECTORY_FOREIGN', `${action}: it is not of this cluster`, { hint })
}
