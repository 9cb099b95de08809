/**
 * Makes a server follow the primary again, whatever it has been meanwhile. It always ends: it goes on from where it is, or is
 * wound back, or is cloned anew with its old content kept.
 */
import { posix } from 'node:path'
import type { ClusterContext } from '../context.ts'
import { lockCluster } from '../lock.ts'
import { lookCluster } from '../look/look.ts'
import { wantedServer } from '../plan/plan.ts'
import type { Problem } from '../plan/problem.ts'
import { bringUpLocked } from '../up.ts'
import { bringBack } from './bring-back.ts'
import {
  closeJournal,
  readJournal,
  type RejoinJournal,
  unfinished,
  writeJournal,
} from './journal.ts'
import type { Course, WayBack } from './rejoin-course.ts'
import { rejoinPlace } from './rejoin-place.ts'
import { isBeingRewound, putBack } from './rewind.ts'

/** What reclone.ts and keep-fork.ts give to what they keep. */
const KEPT_SUFFIXES = ['.old-', '.fork-']

/** What became of it. */
export interface RejoinResult {
  readonly server: string
  readonly primary: string
  readonly way: WayBack
  /** Why not an easier way, one sentence each. */
  readonly reasons: readonly string[]
  /** Content that stays until you remove it: it may hold commits that nobody else has. */
  readonly keptAside: readonly string[]
  readonly problems: readonly Problem[]
}

/**
 * Rejoins `name`.
 * @throws PRIMARY_MISSING, SPLIT_BRAIN, DIRECTORY_FOREIGN, UNFINISHED before anything is changed; what cloning throws.
 */
export async function rejoinServer(context: ClusterContext, name: string): Promise<RejoinResult> {
  await using lock = await lockCluster(context, `rejoin ${name}`)
  void lock
  const before = await readJournal(context)
  if (before !== undefined && (before.operation !== 'rejoin' || before.server !== name)) {
    throw unfinished(before)
  }
  const isTorn = before !== undefined && (await wasTorn(context, before))
  const found = await lookCluster(context, { forPlan: true })
  const place = rejoinPlace(context.wanted, found, name)
  const startedAt = before?.startedAt ?? new Date(context.clock.now()).toISOString()
  const phase = isTorn ? 'clone' : 'follow'
  const journal: RejoinJournal = { operation: 'rejoin', server: name, phase, startedAt }
  const course: Course = { ...place, journal, reasons: [], keptAside: [] }
  await writeJournal(context, journal)
  const way = await bringBack(context, course, { found, isTorn })
  const up = await bringUpLocked(context)
  await closeJournal(context)
  const { reasons, primary } = course
  const keptAside = [...new Set([...course.keptAside, ...(await keptBeside(context, name))])]
  return { server: name, primary: primary.name, way, reasons, keptAside, problems: up.problems }
}

/** What this run, or one that died, has put beside the directory, and `up` will not remove. */
async function keptBeside(context: ClusterContext, name: string): Promise<readonly string[]> {
  const server = wantedServer(context.wanted, name)
  const { host } = await context.machineOf(server)
  const parent = posix.dirname(server.directory)
  const beginnings = KEPT_SUFFIXES.map((suffix) => `${posix.basename(server.directory)}${suffix}`)
  const asides = await context.state.readAsides(name)
  return ((await host.list(parent)) ?? [])
    .filter((entry) => beginnings.some((beginning) => entry.startsWith(beginning)))
    .map((entry) => posix.join(parent, entry))
    .filter((path) => !asides.includes(path))
}

/**
 * Whether a run that died had begun to overwrite the directory. That is written down before the directory gets its name
 * back: without the other name nothing would tell any more.
 */
async function wasTorn(context: ClusterContext, before: RejoinJournal): Promise<boolean> {
  const server = wantedServer(context.wanted, before.server)
  const isHalfWay = before.phase === 'rewind' && (await isBeingRewound(context, server))
  if (isHalfWay) await writeJournal(context, { ...before, phase: 'clone' })
  if (isHalfWay || before.phase === 'clone') await putBack(context, server)
  return isHalfWay || before.phase === 'clone'
}
