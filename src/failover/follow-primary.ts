/**
 * The cheapest way back: the server goes on from where it is, with WAL of the primary or of the
 * backup server.
 */
import { formatLsn } from '../postgres/lsn.ts'
import { formatSegmentName, segmentOf } from '../postgres/segment-name.ts'
import type { WalPosition } from '../wal/wal-position.ts'
import { applySteps } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import { attachStep } from '../build/plan/attach-plan.ts'
import { planSlot } from '../build/plan/slot-plan.ts'
import { slotsWanted } from '../cluster/wanted-slots.ts'
import { step } from '../build/plan/step.ts'
import { feedCandidate } from './feed.ts'
import type { Line } from './line.ts'
import { lineageOf } from './lineage.ts'
import { attempt, type RejoinCourse, stopRejoining } from './rejoin-course.ts'
import { readControl } from './shutdown-record.ts'
import { compareWal } from './same-wal.ts'
import type { Standing } from './wal-reach.ts'
import { directoryReader } from './wal-readers.ts'
import { repositorySource, type WalSource } from './wal-sources.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** The timeline's part of a segment's name. */
const TIMELINE_DIGITS = 8

/**
 * Starts it as a standby. False when the primary cannot give it what it needs; it is stopped again
 * then.
 */
export async function follow(context: ClusterContext, course: RejoinCourse): Promise<boolean> {
  const { server, primary } = course
  await giveSlot(context, course)
  const name = server.name
  const wanted = { wanted: wantedServer(context.wanted, primary.name), found: undefined }
  const start = { title: 'start PostgreSQL', reason: 'to follow' }
  const steps = [
    step(name, { action: 'start' }, start),
    attachStep(name, wanted, 'it has to follow'),
  ]
  const isThere = await attempt(context, course, {
    what: 'it could not follow',
    work: async () => {
      await applySteps(context, steps)
      return true
    },
  })
  if (isThere !== true) await stopRejoining(context, name)
  return isThere === true
}

/** The slot it streams from; on a primary that was promoted by hand it may not be there. */
async function giveSlot(context: ClusterContext, course: RejoinCourse): Promise<void> {
  const { server, primary } = course
  const slots = slotsWanted(context.wanted, primary.name).filter(({ user }) => user === server.name)
  const plans = slots.map((slot) => planSlot(primary.name, slot, primary.sql.slots))
  await applySteps(
    context,
    plans.flatMap(({ steps }) => steps),
  )
}

/** Whether the primary can give it what it needs first; why not is added to the reasons. */
export async function isServed(
  context: ClusterContext,
  course: Pick<RejoinCourse, 'server' | 'primary' | 'reasons'>,
  end: WalPosition | undefined,
): Promise<boolean> {
  if (end === undefined || (await primaryHolds(context, course, end))) return true
  course.reasons.push('the primary does not have the WAL any more that it needs')
  return false
}

/**
 * Whether the primary has the segment the server would ask for; at a switch of timelines it has the
 * name of the newer one.
 */
async function primaryHolds(
  context: ClusterContext,
  course: Pick<RejoinCourse, 'server' | 'primary'>,
  end: WalPosition,
): Promise<boolean> {
  const { segmentBytes } = await readControl(
    context,
    wantedServer(context.wanted, course.server.name),
  )
  const segment = segmentOf(end.lsn, { ...end, segmentBytes })
  const place = formatSegmentName(segment, segmentBytes).slice(TIMELINE_DIGITS)
  await using sql = await openAdminSql(context, wantedServer(context.wanted, course.primary.name))
  const rows = await sql.query(
    `SELECT 1 FROM pg_ls_waldir() WHERE length(name) = 24 AND substr(name, ${TIMELINE_DIGITS + 1}) = $1
      UNION ALL SELECT 1 WHERE pg_current_wal_lsn() <= $2::pg_lsn`,
    [place, formatLsn(end.lsn)],
  )
  return rows.length > 0
}

/** WAL that the primary has given up may be on the backup server. */
export async function catchUp(
  context: ClusterContext,
  course: RejoinCourse,
  known: { readonly end: WalPosition | undefined; readonly own: Line },
): Promise<boolean> {
  const found = await findCatchUp(context, course, known)
  if (found === undefined) return false
  const { standing, source } = found
  const isFed = await attempt(context, course, {
    what: 'it could not take WAL from the backup server',
    isOptional: true,
    work: async () => {
      await feedCandidate(context, { to: course.server.name, standing }, source)
      return true
    },
  })
  return isFed === true && (await follow(context, course))
}

/** What the backup server could give it; undefined when that is nothing, or leads elsewhere. */
export async function findCatchUp(
  context: ClusterContext,
  course: Pick<RejoinCourse, 'server' | 'primary' | 'reasons'>,
  { end, own }: { readonly end: WalPosition | undefined; readonly own: Line },
): Promise<{ readonly standing: Standing; readonly source: WalSource } | undefined> {
  const name = course.server.name
  const { segmentBytes } = await readControl(context, wantedServer(context.wanted, name))
  const standing = end === undefined ? undefined : { ...end, history: own.history, segmentBytes }
  const source = standing && (await repositorySource(context, standing))
  if (standing === undefined || source === undefined) return undefined
  if (source.endLsn <= standing.lsn) return undefined
  if (await isOtherWal(context, name, { standing, source })) {
    course.reasons.push('the WAL on the backup server is another than its own')
    return undefined
  }
  const isDead = await isDeadLine(context, course, { standing, own, source })
  return isDead ? undefined : { standing, source }
}

/**
 * Whether it would lead away from the primary: both may have gone on with what the primary has
 * left, and the primary may have passed them.
 */
async function isDeadLine(
  context: ClusterContext,
  { server, primary, reasons }: Pick<RejoinCourse, 'server' | 'primary' | 'reasons'>,
  {
    standing,
    own,
    source,
  }: { readonly standing: Standing; readonly own: Line; readonly source: WalSource },
): Promise<boolean> {
  const end = { timeline: standing.timeline, lsn: source.endLsn }
  const given = { server: wantedServer(context.wanted, server.name), end, own, reader: source }
  const { kind, reason } = await lineageOf(
    context,
    given,
    wantedServer(context.wanted, primary.name),
  )
  if (kind === 'same') return false
  reasons.push(`the WAL on the backup server leads away from the primary: ${reason}`)
  return true
}

/** Whether the two differ before the place where they should join. */
async function isOtherWal(
  context: ClusterContext,
  name: string,
  { standing, source }: { readonly standing: Standing; readonly source: WalSource },
): Promise<boolean> {
  const server = wantedServer(context.wanted, name)
  const reader = await directoryReader(context, server, standing.segmentBytes)
  const match = await compareWal({ reader, standing }, { reader: source, standing }, standing.lsn)
  return match === 'different'
}
