/**
 * The ways back of a server that rejoins, from the cheapest to the one that always works.
 */
import { liftFence } from '../../host/boot-guard.ts'
import { applySteps, takeStep } from '../apply.ts'
import type { ClusterContext } from '../context.ts'
import type { ClusterFound } from '../found.ts'
import { isStreaming } from '../plan/attach-plan.ts'
import { isMember, isPrimaryLike, type MemberFound } from '../plan/leader.ts'
import { wantedServer } from '../plan/plan.ts'
import { recloneLocked } from '../reclone.ts'
import { asStopped, followSteps } from './follow.ts'
import { catchUp, follow, primaryHolds } from './follow-primary.ts'
import { writeJournal } from './journal.ts'
import { endOfStopped, judgeLineage, primaryLine } from './lineage.ts'
import { attempt, type Course, stopRejoining, type WayBack } from './rejoin-course.ts'
import { windBack } from './wind-back.ts'

/** Brings it back. @throws what cloning throws: everything before it only makes a note. */
export async function bringBack(
  context: ClusterContext,
  course: Course,
  seen: { readonly found: ClusterFound; readonly isTorn: boolean },
): Promise<WayBack> {
  const { server } = course
  if (!isMember(seen.found, server)) return 'built'
  if (isStreaming(course.primary.sql, server)) return 'already'
  await holdStill(context, course, server)
  if (seen.isTorn) {
    course.reasons.push('a rewind of it died half-way')
    return await cloneAnew(context, course, { keepOld: true })
  }
  const wanted = wantedServer(context.wanted, server.name)
  const end = await attempt(context, course, {
    what: 'where its WAL ends cannot be told',
    work: async () => endOfStopped(context, wanted),
  })
  const line = await primaryLine(context, wantedServer(context.wanted, course.primary.name))
  const lineage = judgeLineage(end, line)
  if (lineage.kind === 'same') {
    const isServed = end === undefined || (await primaryHolds(context, course, end))
    if (!isServed) course.reasons.push('the primary does not have the WAL any more that it needs')
    if (isServed && (await follow(context, course))) return 'follow'
    if (await catchUp(context, course, end)) return 'catch-up'
    return await cloneAnew(context, course, { keepOld: isPrimaryLike(server) })
  }
  course.reasons.push(`it cannot simply follow: ${lineage.reason}`)
  if (await windBack(context, course, { lineage, end })) return 'rewind'
  return await cloneAnew(context, course, { keepOld: true })
}

/** Stopped, and so marked that whatever starts it starts a standby. */
async function holdStill(
  context: ClusterContext,
  course: Course,
  server: MemberFound,
): Promise<void> {
  const wanted = wantedServer(context.wanted, server.name)
  if (server.running !== undefined) {
    const told = { id: `${server.name}.stop`, server: server.name, title: 'stop PostgreSQL' }
    await takeStep(context, told, async () => stopRejoining(context, server.name))
  }
  await applySteps(context, followSteps(context.wanted, asStopped(server), course.primary.name))
  const { host } = await context.machineOf(wanted)
  await liftFence({ host, directory: wanted.directory })
}

/** `keepOld`: what it holds may be nowhere else; it is kept until somebody removes it. */
async function cloneAnew(
  context: ClusterContext,
  course: Course,
  old: { readonly keepOld: boolean },
): Promise<'clone'> {
  const { server, journal } = course
  await writeJournal(context, { ...journal, phase: 'clone' })
  const { keptAside } = await recloneLocked(context, server.name, { discardOld: false, ...old })
  course.keptAside.push(...keptAside)
  return 'clone'
}
