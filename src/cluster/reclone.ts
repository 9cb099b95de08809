/**
 * Makes a standby anew from the primary, whatever lies in its directory now. What lies there is set aside by a rename and
 * goes only when the new standby streams. Foreign content never goes, nor what may hold commits that nobody else has.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { stopServer } from '../host/postgres-control.ts'
import { formatSize } from '../util/size.ts'
import type { ClusterContext } from './context.ts'
import { tablespacesOf } from './destroy.ts'
import type { ClusterFound, ServerFound } from './found.ts'
import { lockCluster } from './lock.ts'
import { lookCluster } from './look/look.ts'
import { lookRoomFor } from './look/look-room.ts'
import { findLeader, isMember, isPrimaryLike, type MemberFound } from './plan/leader.ts'
import { wantedServer } from './plan/plan.ts'
import { errorOf } from './plan/problem.ts'
import { refuseUnfinished } from './roles/journal.ts'
import { instanceOf } from './steps/act-context.ts'
import { bringUpLocked, type UpResult } from './up.ts'
import type { ServerWanted } from './wanted.ts'

const STOP_TIMEOUT_MS = 10 * 60_000

/** What becomes of the old content. */
export interface RecloneOptions {
  /** Remove it before the clone instead of keeping it until the new standby streams; for disks without room for both. */
  readonly discardOld: boolean
  /** Keep it for good: it is known to hold what nobody else has. */
  readonly keepOld?: boolean
}

/** What was done. */
export interface RecloneResult extends UpResult {
  /** Where content was put that stays: it is foreign, or may hold commits that nobody else has. */
  readonly keptAside: readonly string[]
}

/**
 * Reclones `name`.
 * @throws SPLIT_BRAIN when it is the primary; DIRECTORY_FOREIGN, DATA_LOSS when something else than an old standby would
 * have to be discarded; DISK_SPACE; what `bringUp` throws.
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
  context: ClusterContext,
  name: string,
  options: RecloneOptions,
): Promise<RecloneResult> {
  const found = await lookCluster(context, { forPlan: false })
  const server = wantedServer(context.wanted, name)
  const old = found.servers.find((candidate) => candidate.name === name) as ServerFound
  const leader = refusePrimary(context, found, old)
  const isOld = options.keepOld !== true && isMember(found, old) && !mayHoldMore(old, leader)
  if (options.discardOld && !isOld) refuseToDiscard(found, server, old)
  if (!options.discardOld) await refuseShortage(context, found, old)
  if (old.running !== undefined) {
    const instance = await instanceOf(context, server)
    await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS, signal: context.signal })
  }
  const aside = await planAside(context, server, old)
  // Remembered first: one that was never moved is not there to be removed, one forgotten would stay for ever.
  if (isOld) await remember(context, server, aside)
  for (const { from, to } of aside) await moveAside(context, server, { from, to })
  await context.crashPoint('reclone.aside')
  if (options.discardOld) await discard(context, server, aside)
  const result = await bringUpLocked(context)
  return { ...result, keptAside: isOld ? [] : aside.map(({ to }) => to) }
}

/** While the old directory stays there has to be room for both. */
async function refuseShortage(
  context: ClusterContext,
  found: ClusterFound,
  old: ServerFound,
): Promise<void> {
  const room = await lookRoomFor(context, found, old)
  const [shortage] = room?.shortages ?? []
  if (shortage === undefined) return
  const { path, freeBytes, neededBytes } = shortage
  throw new BackstayError(
    'DISK_SPACE',
    `Cannot reclone server "${old.name}" beside its old directory: "${path}" has ${formatSize(freeBytes)} free, ${formatSize(neededBytes)} are needed`,
    { hint: 'Free space, or give up the old directory with --discard-old.' },
  )
}

/** The one directory that must never be set aside is that of the primary. Gives back who that is, if there is one. */
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

/** A former primary, or a standby that was promoted once, can have gone on alone for a while. */
function mayHoldMore(member: MemberFound, leader: MemberFound | undefined): boolean {
  return isPrimaryLike(member) || member.directory.timeline > (leader?.directory.timeline ?? 0)
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

/** A directory and where it is put. */
interface Move {
  readonly from: string
  readonly to: string
}

/** The directory and its tablespaces' ones. Nothing for what may be overwritten anyway. */
async function planAside(
  context: ClusterContext,
  server: ServerWanted,
  found: ServerFound,
): Promise<readonly Move[]> {
  if (found.directory.state !== 'data' && found.directory.state !== 'foreign') return []
  const { host } = await context.machineOf(server)
  const stamp = new Date(context.clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const tablespaces =
    found.directory.state === 'data' ? await tablespacesOf(host, server.directory) : []
  return [server.directory, ...tablespaces].map((from) => ({ from, to: `${from}.old-${stamp}` }))
}

async function moveAside(
  context: ClusterContext,
  server: ServerWanted,
  { from, to }: Move,
): Promise<void> {
  const { host } = await context.machineOf(server)
  try {
    await host.rename(from, to)
  } catch (cause) {
    throw new BackstayError('FAILED', `Cannot set "${from}" aside as "${to}"`, {
      hint: 'A mount point cannot be renamed: move its content away yourself.',
      cause,
    })
  }
}

async function remember(
  { state }: ClusterContext,
  server: ServerWanted,
  moves: readonly Move[],
): Promise<void> {
  const known = await state.readAsides(server.name)
  await state.writeAsides(server.name, [...known, ...moves.map(({ to }) => to)])
}

/** Removes what was set aside, and forgets it. */
async function discard(
  context: ClusterContext,
  server: ServerWanted,
  moves: readonly Move[],
): Promise<void> {
  const { host } = await context.machineOf(server)
  const gone = moves.map(({ to }) => to)
  for (const path of gone) await host.remove(path)
  const known = await context.state.readAsides(server.name)
  await context.state.writeAsides(
    server.name,
    known.filter((path) => !gone.includes(path)),
  )
}
