/**
 * Makes a server follow the primary again, whatever it has been meanwhile. It always ends: it goes
 * on from where it is, or is wound back, or is cloned anew with its old content kept.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { askedFor } from '../build/asked-for.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { lockCluster } from '../cluster/lock.ts'
import { lookCluster } from '../cluster/look/look.ts'
import type { Problem } from '../cluster/problem.ts'
import { bringUpLocked } from '../build/up.ts'
import { bringBack } from './bring-back.ts'
import {
  closeJournal,
  readJournal,
  type RejoinJournal,
  unfinished,
  writeJournal,
} from '../cluster/journal.ts'
import type { RejoinCourse, WayBack } from './rejoin-course.ts'
import { type RejoinPlace, rejoinPlace } from './rejoin-place.ts'
import { noteLineThere } from './repository-lines.ts'
import { isBeingRewound, putBack } from './rewind.ts'
import { isFencedTorn } from './torn-fence.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** What reclone.ts, keep-fork.ts and a rewind that died give to what they keep. */
const KEPT_SUFFIXES = ['.old-', '.fork-', '.rejoin']

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

/** What is asked on the way. */
export interface RejoinOptions {
  /**
   * Whether a second primary that runs may be stopped: its sessions end. Not asked when left out.
   */
  readonly confirm?: (question: string) => Promise<boolean>
}

/**
 * Rejoins `name`.
 * @throws NEEDS_CONFIRMATION, PRIMARY_MISSING, SPLIT_BRAIN, DIRECTORY_FOREIGN, UNFINISHED before
 * anything is changed; what cloning throws.
 */
export async function rejoinServer(
  context: ClusterContext,
  name: string,
  options: RejoinOptions = {},
): Promise<RejoinResult> {
  await using lock = await lockCluster(context, `rejoin ${name}`)
  void lock
  const before = await readJournal(context)
  if (before !== undefined && (before.operation !== 'rejoin' || before.server !== name)) {
    throw unfinished(before)
  }
  const isTorn = await wasTorn(context, name, before)
  const found = await lookCluster(context, { forPlan: true })
  const place = rejoinPlace(context.wanted, found, name)
  await confirmStop(place, options)
  const startedAt = before?.startedAt ?? new Date(context.clock.now()).toISOString()
  const phase = isTorn ? 'clone' : 'follow'
  const journal: RejoinJournal = { operation: 'rejoin', server: name, phase, startedAt }
  const course: RejoinCourse = { ...place, journal, reasons: [], keptAside: [] }
  await writeJournal(context, journal)
  const way = await bringBack(context, course, { found, isTorn })
  await noteLineThere(context, course.primary.sql.timeline)
  const up = await bringUpLocked(askedFor(context, name))
  await closeJournal(context)
  const { reasons, primary } = course
  const keptAside = [...new Set([...course.keptAside, ...(await keptBeside(context, name))])]
  return { server: name, primary: primary.name, way, reasons, keptAside, problems: up.problems }
}

async function confirmStop(
  { server, primary }: RejoinPlace,
  { confirm }: RejoinOptions,
): Promise<void> {
  if (confirm === undefined || server.running === undefined) return
  if (server.sql?.inRecovery !== false) return
  const question = `"${server.name}" runs as a primary with ${server.sql.connections} connections. Stop it, and make it follow "${primary.name}"?`
  if (await confirm(question)) return
  throw new BackstayError(
    'NEEDS_CONFIRMATION',
    `Will not stop "${server.name}" unasked: it runs as a primary beside "${primary.name}"`,
    { hint: `To end its sessions and let it follow: backstay rejoin ${server.name} --yes` },
  )
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
 * Whether a run that died had begun to overwrite the directory: its fence tells, or the journal of
 * an earlier release. That is written down before the directory gets its name back. One that was
 * only moved gets its name back and is as good as before.
 */
async function wasTorn(
  context: ClusterContext,
  name: string,
  before: RejoinJournal | undefined,
): Promise<boolean> {
  const server = context.wanted.servers.find((each) => each.name === name)
  if (server === undefined) return false
  const isFenced = await isFencedTorn(context, server)
  const isAway = await isBeingRewound(context, server)
  const isHalfWay = before?.phase === 'rewind' && isAway
  if (isHalfWay) await writeJournal(context, { ...before, phase: 'clone' })
  if (isAway) await putBack(context, server)
  return isFenced || isHalfWay || before?.phase === 'clone'
}
