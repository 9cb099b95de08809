/**
 * The ways back of a server that rejoins, from the cheapest to the one that always works.
 */
import { liftFence } from '../host/boot-guard.ts'
import { applySteps, takeStep } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound } from '../cluster/found.ts'
import { isStreaming } from '../build/plan/attach-plan.ts'
import { isMember, type MemberFound } from '../cluster/leader.ts'
import { recloneLocked } from './reclone.ts'
import { asStopped, followSteps } from './follow.ts'
import { catchUp, follow, isServed } from './follow-primary.ts'
import { type Line, lineOf } from './line.ts'
import { endOfStopped, type Lineage, lineageOf } from './lineage.ts'
import { attempt, type RejoinCourse, stopRejoining, type WayBack } from './rejoin-course.ts'
import { saveFork } from './save-fork.ts'
import { readControl } from './shutdown-record.ts'
import type { WalPosition } from '../wal/wal-position.ts'
import { windBack } from './wind-back.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** Brings it back. @throws what cloning throws: everything before it only makes a note. */
export async function bringBack(
  context: ClusterContext,
  course: RejoinCourse,
  seen: { readonly found: ClusterFound; readonly isTorn: boolean },
): Promise<WayBack> {
  const { server } = course
  if (!isMember(seen.found, server)) return 'built'
  // A half overwritten directory that somebody started streams as well.
  if (!seen.isTorn && isStreaming(course.primary.sql, server)) return 'already'
  await holdStill(context, course, { server, isTorn: seen.isTorn })
  if (seen.isTorn) {
    course.reasons.push('a rewind of it died half-way')
    return await cloneAnew(context, course)
  }
  const wanted = wantedServer(context.wanted, server.name)
  const own = await lineOf(context, server)
  const end = await attempt(context, course, {
    what: 'where its WAL ends cannot be told',
    work: async () => endOfStopped(context, wanted, own),
  })
  const judged = { server: wanted, end, own }
  const to = wantedServer(context.wanted, course.primary.name)
  const lineage = await lineageOf(context, judged, to)
  if (lineage.kind === 'same') {
    const isWorthTrying = await isServed(context, course, end)
    if (isWorthTrying && (await follow(context, course))) return 'follow'
    if (await catchUp(context, course, { end, own })) return 'catch-up'
    return await cloneAnew(context, course)
  }
  course.reasons.push(`it cannot simply follow: ${lineage.reason}`)
  await saveOwn(context, course, { lineage, end, own })
  if (await windBack(context, course, { lineage, end, own })) return 'rewind'
  return await cloneAnew(context, course)
}

/**
 * Before anything is done to its directory. A repository that cannot take it does not stop the
 * rejoin: the directory stays.
 */
async function saveOwn(
  context: ClusterContext,
  course: RejoinCourse,
  known: { readonly lineage: Lineage; readonly end: WalPosition | undefined; readonly own: Line },
): Promise<void> {
  const { lineage, end, own } = known
  const { forkLsn } = lineage
  if (forkLsn === undefined || end === undefined) return
  const server = wantedServer(context.wanted, course.server.name)
  const { segmentBytes } = await readControl(context, server)
  const fork = { forkLsn, end, segmentBytes, history: own.history }
  const folder = await attempt(context, course, {
    what: 'its own WAL could not be saved in the repository',
    isOptional: true,
    work: async () => saveFork(context, server, fork),
  })
  if (folder !== undefined) course.keptAside.push(folder)
}

/**
 * Stopped, and so marked that whatever starts it starts a standby. One that is half overwritten
 * stays fenced until it is cloned.
 */
async function holdStill(
  context: ClusterContext,
  course: RejoinCourse,
  { server, isTorn }: { readonly server: MemberFound; readonly isTorn: boolean },
): Promise<void> {
  const wanted = wantedServer(context.wanted, server.name)
  if (server.running !== undefined) {
    const told = { id: `${server.name}.stop`, server: server.name, title: 'stop PostgreSQL' }
    await takeStep(context, told, async () => stopRejoining(context, server.name))
  }
  await applySteps(context, followSteps(context.wanted, asStopped(server), course.primary.name))
  if (isTorn) return
  const { host } = await context.machineOf(wanted)
  await liftFence({ host, directory: wanted.directory })
}

/**
 * What it could not simply follow with may be nowhere else: the old directory is kept until
 * somebody removes it. A directory that is whole is not noted as torn: where the clone is refused,
 * or dies before it moved anything, the next run tries the cheaper ways again.
 */
async function cloneAnew(context: ClusterContext, course: RejoinCourse): Promise<'clone'> {
  const { server } = course
  const { keptAside } = await recloneLocked(context, server.name, {
    discardOld: false,
    keepOld: true,
  })
  course.keptAside.push(...keptAside)
  return 'clone'
}
