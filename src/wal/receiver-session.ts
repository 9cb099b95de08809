/**
 * One connection of a receiver: finds out where to go on, then follows the server from timeline to
 * timeline until the connection ends. What it leaves in the spool is enough for the next session to
 * go on.
 */
import { rm } from 'node:fs/promises'
import { BackstayError } from '../errors/backstay-error.ts'
import { addBytes, formatLsn, type Lsn } from '../postgres/lsn.ts'
import {
  formatSegmentName,
  type Segment,
  segmentOf,
  segmentStart,
} from '../postgres/segment-name.ts'
import { scannerAfter } from '../postgres/segment-chain.ts'
import { timelineOf } from '../postgres/timeline.ts'
import type { ReplicationConnection } from '../wire/replication-connection.ts'
import { describeServer } from '../wire/server-address.ts'
import type { WalStreamEnd } from '../wire/wal-stream.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { readLines } from '../repository/line-records.ts'
import { recordGap } from './gaps.ts'
import { chooseServer, type ChosenServer } from './choose-server.ts'
import { findFillableHoles } from './fillable-holes.ts'
import { segmentSource, storedEnds } from './held-wal.ts'
import type { Joint } from './join-check.ts'
import { noteLine, watchLine } from './note-line.ts'
import { findOldestWal } from './oldest-wal.ts'
import { type StreamRefused, receiveStream, type StreamSurroundings } from './receive-stream.ts'
import { recoverSpool, spoolEnds, type SpoolContent, type SpoolTail } from './recover-spool.ts'
import { ownEnd } from './pushed-mark.ts'
import { askServer, createSlot, replaceSlot } from './ask-server.ts'
import { makeSpool } from './spool-place.ts'
import { decideStart, gapsBetween, type ServerFacts, type StartDecision } from './start-position.ts'
import { segmentFloor, type WalPosition, type WalRange } from './wal-position.ts'
import { readRegular } from '../util/read-regular.ts'

/** SQLSTATE of START_REPLICATION with an invalidated slot. */
const OBJECT_NOT_IN_STATE = '55000'

/**
 * Connects and receives until the connection ends.
 * @throws {BackstayError} why it ended, unless in order.
 */
export async function runSession(surroundings: StreamSurroundings): Promise<void> {
  const { options, status, signal } = surroundings
  status.update({ state: 'connecting' })
  await using server = await chooseServer(
    options.servers,
    signal,
    await readLines(options.repository),
  )
  const { connection } = server
  const address = describeServer(server.options)
  status.update({ connectedAtMs: options.clock.now(), server: address })
  options.onEvent({
    kind: 'connected',
    text: `Connected to PostgreSQL ${connection.serverVersion} at ${address}`,
  })
  while (!signal.aborted) {
    const end = await receiveTimeline(server, surroundings)
    if (end.reason === 'filled') continue
    if (end.reason !== 'timeline') return
    options.onEvent({
      kind: 'timeline-switched',
      text: `Timeline ${end.next.timeline} follows at ${formatLsn(end.next.startLsn)}`,
    })
  }
}

/** `filled`: a hole in what is held was dealt with, and what is held has to be looked at anew. */
type TimelineEnd = WalStreamEnd | { readonly reason: 'filled' }

/**
 * Receives one timeline from wherever what is held ends, after the holes below that the server can
 * still fill.
 */
async function receiveTimeline(
  chosen: ChosenServer,
  surroundings: StreamSurroundings,
): Promise<TimelineEnd> {
  const { options, handOver, signal } = surroundings
  const { repository } = options
  const place = await makeSpool(repository)
  const spool = await recoverSpool(place, segmentSource(repository))
  for (const finished of spool.finished) handOver.add(finished)
  const stored = await storedEnds(repository)
  const server = await askServer(chosen, options, signal)
  const ends = heldEnds(await ownEnds(repository, stored, server), spool, place.segmentBytes)
  const lines = await readLines(repository)
  const decision = decideStart({ ...repository.identity, ends, lines }, server)
  if (decision.kind === 'refuse') {
    throw new BackstayError(decision.code, decision.message, decision)
  }
  for (const range of decision.leftBehind) {
    options.onEvent({
      kind: 'left-behind',
      text: `WAL up to ${formatLsn(range.endLsn)} is held of timeline ${range.timeline}, which the server left at ${formatLsn(range.startLsn)}`,
    })
  }
  await noteLine(repository, server.history, 'receiver')
  const ending = new AbortController()
  const watching = watchLine(repository, server.history, AbortSignal.any([signal, ending.signal]))
  try {
    const attempt = { connection: chosen.connection, surroundings, server, spool }
    return (await fillHole(attempt)) ?? (await tryCandidates(attempt, decision))
  } finally {
    ending.abort()
    await watching
  }
}

/** The newer of spool and repository for each timeline. */
function heldEnds(
  stored: ReadonlyMap<number, Lsn>,
  spool: SpoolContent,
  segmentBytes: number,
): ReadonlyMap<number, Lsn> {
  const ends = new Map(stored)
  for (const [timeline, lsn] of spoolEnds(spool, segmentBytes)) {
    if (lsn > (ends.get(timeline) ?? 0n)) ends.set(timeline, lsn)
  }
  return ends
}

/** Without the pushed segments that the slot still has: the receiver looks at them itself. */
async function ownEnds(
  repository: ClusterRepository,
  held: ReadonlyMap<number, Lsn>,
  { timeline, slotRestartLsn: fromLsn }: ServerFacts,
): Promise<ReadonlyMap<number, Lsn>> {
  const endLsn = held.get(timeline)
  if (endLsn === undefined || fromLsn === undefined) return held
  return new Map(held).set(timeline, await ownEnd(repository, { timeline, fromLsn, endLsn }))
}

interface ReceiveAttempt {
  readonly connection: ReplicationConnection
  readonly surroundings: StreamSurroundings
  readonly server: ServerFacts
  readonly spool: SpoolContent
}

/**
 * Receives the first hole that the server still has WAL of, or records it as lost. Undefined when
 * there is none to deal with. The tail in the spool, which lies behind, becomes a partial object
 * meanwhile and is received again afterwards.
 */
async function fillHole(attempt: ReceiveAttempt): Promise<TimelineEnd | undefined> {
  const { connection, surroundings, server, spool } = attempt
  const { options, signal } = surroundings
  const { segmentBytes } = options.repository.identity
  for (const hole of await findFillableHoles(options.repository, server.history)) {
    const { timeline, startLsn, endLsn: stopLsn } = hole
    const isTail = spool.tails.some(
      (tail) => tail.segment.timeline === timeline && tail.endLsn === startLsn,
    )
    const lsn = isTail ? startLsn : segmentFloor(startLsn, segmentBytes)
    const start = { timeline, lsn }
    const end = await streamFrom(attempt, { candidates: [start], continues: true, stopLsn }, start)
    if (end.reason === 'shutdown' || signal.aborted) return end as TimelineEnd
    if (end.reason !== 'refused') return { reason: 'filled' }
    if (saysSlot(end.error)) return undefined
    const search = { timeline, removedLsn: lsn, presentLsn: stopLsn }
    const oldestLsn = await findOldestWal(connection, search, options)
    await recordGaps(surroundings, [{ ...hole, endLsn: oldestLsn }])
    if (oldestLsn < stopLsn) return { reason: 'filled' }
  }
  return undefined
}

type Accepted = Extract<StartDecision, { kind: 'stream' }>

/**
 * Each position in turn until the server still has the WAL there. At the first refusal the slot is
 * made anew: it is missing, or invalidated (which only 18 says), or did not hold the WAL that we
 * needed; in each case it is worth nothing.
 */
async function tryCandidates(attempt: ReceiveAttempt, decision: Accepted): Promise<WalStreamEnd> {
  const { connection, surroundings } = attempt
  const { options } = surroundings
  const untried: WalPosition[] = [...decision.candidates]
  let mayMakeSlot = options.createSlot && options.slot !== undefined
  for (let start = untried[0]; start !== undefined; start = untried[0]) {
    const end = await streamFrom(attempt, decision, start)
    if (end.reason !== 'refused') return end
    const isAboutSlot = saysSlot(end.error)
    if (isAboutSlot && !mayMakeSlot) throw end.error
    if (mayMakeSlot) await renewSlot(connection, surroundings, end)
    mayMakeSlot = false
    if (isAboutSlot) continue
    untried.shift()
    if (untried[0] === undefined) throw end.error
    untried[0] = await narrowGap(attempt, start, untried[0])
  }
  throw new BackstayError('BUG', 'Cannot receive WAL: no position to start from')
}

/**
 * The first position after `refused` at which the server has WAL: `next`, or earlier on the same
 * timeline.
 */
async function narrowGap(
  { connection, surroundings }: ReceiveAttempt,
  refused: WalPosition,
  next: WalPosition,
): Promise<WalPosition> {
  const { timeline, lsn } = next
  if (refused.timeline !== timeline) return next
  const search = { timeline, removedLsn: refused.lsn, presentLsn: lsn }
  return { timeline, lsn: await findOldestWal(connection, search, surroundings.options) }
}

function saysSlot(error: BackstayError): boolean {
  return error.code === 'SLOT_MISSING' || error.details['sqlstate'] === OBJECT_NOT_IN_STATE
}

async function renewSlot(
  connection: ReplicationConnection,
  { options }: StreamSurroundings,
  { error }: StreamRefused,
): Promise<void> {
  if (error.code === 'SLOT_MISSING') await createSlot(connection, options)
  else await replaceSlot(connection, options)
}

async function streamFrom(
  attempt: ReceiveAttempt,
  decision: Pick<Accepted, 'candidates' | 'continues'> & { readonly stopLsn?: Lsn },
  start: WalPosition,
): Promise<WalStreamEnd | StreamRefused> {
  const { connection, surroundings, server } = attempt
  const { segmentBytes } = surroundings.options.repository.identity
  const [wanted] = decision.candidates
  const held = start === wanted ? await heldBeforeStart(attempt, start) : {}
  const gaps = decision.continues ? gapsBetween(wanted, start, server.history) : []
  return await receiveStream(
    connection,
    {
      joint: { start, ...held, segmentBytes },
      ...(decision.stopLsn !== undefined && { stopLsn: decision.stopLsn }),
      serverEndLsn: server.flushLsn,
      accepted: async () => {
        await retireTails(attempt, start)
        await recordGaps(surroundings, gaps)
      },
    },
    surroundings,
  )
}

/**
 * What the stream has to follow: the last record in the spool's tail, or the end of the whole
 * segment before.
 */
async function heldBeforeStart(
  attempt: ReceiveAttempt,
  start: WalPosition,
): Promise<Pick<Joint, 'lastRecordLsn' | 'after'>> {
  const { spool, server, surroundings } = attempt
  const { segmentBytes } = surroundings.options.repository.identity
  const tail = spool.tails.find((tail) => isContinued(tail, start, segmentBytes))
  const isInside = start.lsn > segmentFloor(start.lsn, segmentBytes)
  if (isInside) return { lastRecordLsn: tail?.lastRecordLsn }
  if (start.lsn === 0n) return {}
  const before = segmentOf(addBytes(start.lsn, -1), {
    timeline: timelineOf(server.history, addBytes(start.lsn, -1)),
    segmentBytes,
  })
  const content = await readWhole(attempt, before)
  const name = formatSegmentName(before, segmentBytes)
  if (content === undefined) return {}
  return { after: () => scannerAfter({ name, content }, { segmentBytes }) }
}

async function readWhole(
  attempt: ReceiveAttempt,
  segment: Segment,
): Promise<Uint8Array | undefined> {
  const { spool, surroundings } = attempt
  const { repository } = surroundings.options
  const name = formatSegmentName(segment, repository.identity.segmentBytes)
  const stored = await segmentSource(repository)(name)
  if (stored !== undefined) return stored
  const spooled = spool.finished.find(
    (finished) => formatSegmentName(finished.segment, repository.identity.segmentBytes) === name,
  )
  return spooled && (await readRegular(spooled.path, repository.identity.segmentBytes))
}

function isContinued(tail: SpoolTail, start: WalPosition, segmentBytes: number): boolean {
  return (
    tail.segment.timeline === start.timeline &&
    segmentStart(tail.segment, segmentBytes) === segmentFloor(start.lsn, segmentBytes)
  )
}

/**
 * Tails that nothing will follow become partial objects: the end of a timeline, or WAL before a
 * gap.
 */
async function retireTails(attempt: ReceiveAttempt, start: WalPosition): Promise<void> {
  const { repository } = attempt.surroundings.options
  const { segmentBytes } = repository.identity
  for (const tail of attempt.spool.tails) {
    if (isContinued(tail, start, segmentBytes)) continue
    const name = formatSegmentName(tail.segment, segmentBytes)
    const content = await readRegular(tail.path, segmentBytes)
    const validBytes = Number(tail.endLsn - segmentStart(tail.segment, segmentBytes))
    // After its last record a file may hold a torn one. Where nothing could be proved, everything
    // is kept as it is.
    if (validBytes > 0) content.fill(0, validBytes)
    const isEmpty = content.every((byte) => byte === 0)
    if (!isEmpty && !(await repository.wal.hasSegment(name))) {
      await repository.wal.putPartial(name, content)
    }
    await rm(tail.path, { force: true })
  }
}

async function recordGaps(
  { options, status }: StreamSurroundings,
  gaps: readonly WalRange[],
): Promise<void> {
  for (const gap of gaps) {
    await recordGap(
      options.repository,
      gap,
      'The server had removed this WAL before it was received',
    )
    status.update({ newGaps: status.current.newGaps + 1 })
    const range = `${formatLsn(gap.startLsn)} to ${formatLsn(gap.endLsn)} on timeline ${gap.timeline}`
    options.onEvent({ kind: 'gap', text: `WAL from ${range} is lost: the server had removed it` })
  }
}
