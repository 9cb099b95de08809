/**
 * The second way back: what the server wrote on its own is kept aside and undone, with pg_rewind.
 */
import type { Lsn } from '../postgres/lsn.ts'
import { hasReplayed } from './replay-delay.ts'
import type { WalPosition } from '../wal/wal-position.ts'
import { applySteps } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import { step } from '../build/plan/step.ts'
import { follow } from './follow-primary.ts'
import { writeJournal } from '../cluster/journal.ts'
import { keepFork } from './keep-fork.ts'
import type { Line } from './line.ts'
import type { Lineage } from './lineage.ts'
import { checkpoint } from './promote.ts'
import { attempt, type RejoinCourse, stopRejoining } from './rejoin-course.ts'
import { limitsOf } from './rejoin-place.ts'
import { isBeingRewound, putBack, rewindObstacle, rewindServer } from './rewind.ts'
import { readControl } from './shutdown-record.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

const REPLAY_TIMEOUT_MS = 30 * 60_000

/**
 * Winds it back and lets it follow. False when that is not possible; the directory is in its place
 * then.
 */
export async function windBack(
  context: ClusterContext,
  course: RejoinCourse,
  known: { readonly lineage: Lineage; readonly end: WalPosition | undefined; readonly own: Line },
): Promise<boolean> {
  const { server, primary, journal } = course
  const wanted = wantedServer(context.wanted, server.name)
  const obstacle = await obstacleTo(context, wanted, known)
  if (obstacle !== undefined || known.end === undefined) {
    course.reasons.push(`it cannot be rewound: ${obstacle ?? ''}`)
    return false
  }
  const { end } = known
  const { segmentBytes } = await readControl(context, wanted)
  const to = wantedServer(context.wanted, primary.name)
  const isReady = await attempt(context, course, {
    what: 'it could not be made ready for a rewind',
    work: async () => {
      await shutDownInOrder(context, server.name, end.lsn)
      await keep(context, course, { ...known, segmentBytes })
      await checkpoint(context, to)
      return true
    },
  })
  if (isReady !== true) return false
  const onBegin = async (): Promise<void> => writeJournal(context, { ...journal, phase: 'rewind' })
  const isRewound = await attempt(context, course, {
    what: 'it could not be rewound',
    work: async () => {
      const limits = limitsOf(primary)
      await rewindServer(context, { server: wanted, primary: to, limits, onBegin })
      await writeJournal(context, { ...journal, phase: 'follow' })
      return true
    },
  })
  if (isRewound === true) return await follow(context, course)
  // Before the directory has its name back: afterwards nothing would tell that it may be half
  // overwritten.
  if (await isBeingRewound(context, wanted))
    await writeJournal(context, { ...journal, phase: 'clone' })
  await putBack(context, wanted)
  return false
}

/** Why it cannot be wound back; undefined when it can. */
export async function obstacleTo(
  context: ClusterContext,
  server: ServerWanted,
  { lineage, end }: { readonly lineage: Lineage; readonly end: WalPosition | undefined },
): Promise<string | undefined> {
  if (!lineage.isRewindable) return 'nothing says where the two parted'
  if (end === undefined) return 'its own WAL is not whole'
  return await rewindObstacle(context, server, await readControl(context, server))
}

/**
 * pg_rewind wants a server that was shut down in order. One that crashed recovers first, as a
 * standby.
 */
async function shutDownInOrder(context: ClusterContext, name: string, endLsn: Lsn): Promise<void> {
  const server = wantedServer(context.wanted, name)
  const { state } = await readControl(context, server)
  if (state === 'shut down' || state === 'shut down in recovery') return
  const start = { title: 'start PostgreSQL', reason: 'it crashed: it has to recover first' }
  await applySteps(context, [step(name, { action: 'start' }, start)])
  const { clock, signal } = context
  await using sql = await openAdminSql(context, server)
  await hasReplayed(sql, endLsn, { clock, signal, timeoutMs: REPLAY_TIMEOUT_MS })
  await stopRejoining(context, name)
}

async function keep(
  context: ClusterContext,
  course: RejoinCourse,
  known: {
    readonly lineage: Lineage
    readonly end: WalPosition | undefined
    readonly own: Line
    readonly segmentBytes: number
  },
): Promise<void> {
  const { lineage, end, own, segmentBytes } = known
  if (lineage.forkLsn === undefined || end === undefined) return
  const server = wantedServer(context.wanted, course.server.name)
  const { history } = own
  const fork = { forkLsn: lineage.forkLsn, end, segmentBytes, history }
  const path = await keepFork(context, server, fork)
  if (path !== undefined) course.keptAside.push(path)
}
