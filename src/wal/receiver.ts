/**
 * The WAL receiver of one cluster: sessions one after the other for as long as it is wanted, with
 * pauses that grow, one hand-over, one status. It never gives up by itself: what can be wrong with
 * a server, a network or a disk can be put right.
 *
 *   connecting ──► streaming ──► (connection lost, server stopped) ──► waiting ──► connecting
 *        └───────► refused: other identity, older state, conflict ──► waiting for somebody to act, asking again
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ErrorCode } from '../errors/codes.ts'
import { takeLock } from '../repository/lock.ts'
import { describeServer } from '../wire/server-address.ts'
import { BlocksKeeper } from './blocks-keeper.ts'
import { HandOver } from './finished-segments.ts'
import type { StreamSurroundings } from './receive-stream.ts'
import { runSession } from './receiver-session.ts'
import type { ReceiverOptions } from './receiver-options.ts'
import { acknowledgedOf, readReceiverStatus, type ReceiverStatus } from './receiver-status.ts'
import { SegmentJudge } from './segment-judge.ts'
import { spoolError } from './spool-error.ts'
import { makeSpool } from './spool-place.ts'
import { StatusPublisher } from './status-publisher.ts'
import { type ReceivedContext, storeReceived } from './store-received.ts'

const FIRST_PAUSE_MS = 250
const LAST_PAUSE_MS = 10_000
/** Between two questions to a server that must not be received from. */
const REFUSED_PAUSE_MS = 30_000
const DEFAULT_STOP_TIMEOUT_MS = 20_000

/** Errors that do not go away by themselves. */
const NEEDS_SOMEBODY: ReadonlySet<ErrorCode> = new Set([
  'POSTGRES_IDENTITY',
  'POSTGRES_VERSION',
  'POSTGRES_AUTH',
  'POSTGRES_HBA',
  'WAL_CONFLICT',
  'SLOT_MISSING',
  'CONFIG_INVALID',
])

/**
 * Receives until `signal` aborts; then everything that came is synced, acknowledged and, as far as
 * time allows, handed over.
 * @throws {BackstayError} REPOSITORY_LOCKED when another receiver works for the cluster; nothing
 * else but bugs.
 */
export async function receiveWal(options: ReceiverOptions, signal: AbortSignal): Promise<void> {
  const { repository, clock } = options
  const { names, store, identity } = repository
  const purpose = `receiving WAL of "${identity.cluster}"`
  await using _lock = await takeLock(
    { store, names, clock },
    { name: 'receiver', mode: 'exclusive', purpose },
  )
  const { directory } = await makeSpool(repository)
  const first = firstStatus(options, await readReceiverStatus(directory))
  await using status = new StatusPublisher(directory, clock, first)
  await using judge = new SegmentJudge(repository.identity)
  await using maps = new BlocksKeeper(repository)
  await using handOver = openHandOver(status, { options, judge, maps })
  const surroundings = { options, handOver, status, signal }
  for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted;) {
    const hasStreamed = await runOnce(surroundings, pauseMs)
    pauseMs = hasStreamed ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LAST_PAUSE_MS)
  }
  await drain(surroundings)
  status.update({ state: 'stopped' })
  options.onEvent({ kind: 'stopped', text: 'Stopped receiving' })
}

/** One session and the pause after it. Returns whether WAL was streamed. */
async function runOnce(surroundings: StreamSurroundings, pauseMs: number): Promise<boolean> {
  const { options, status, signal } = surroundings
  surroundings.handOver.resume()
  const error = await endOfSession(surroundings)
  const hasStreamed = status.current.state === 'streaming'
  if (signal.aborted) return hasStreamed
  const needsSomebody = error !== undefined && NEEDS_SOMEBODY.has(error.code)
  if (error === undefined) {
    options.onEvent({ kind: 'disconnected', text: 'The server ended the stream in order' })
    status.update({ state: 'waiting' })
  } else {
    options.onEvent({ kind: 'failed', text: error.message, error })
    status.fail(error, needsSomebody ? 'refused' : 'waiting')
  }
  const wait = needsSomebody ? REFUSED_PAUSE_MS : pauseMs
  await options.clock.sleep(wait, signal).catch(() => undefined)
  return hasStreamed
}

async function endOfSession(surroundings: StreamSurroundings): Promise<BackstayError | undefined> {
  try {
    await runSession(surroundings)
    return undefined
  } catch (error) {
    if (error instanceof BackstayError) return error
    // The reason of the signal, which may be anything.
    if (surroundings.signal.aborted) return undefined
    if (isErrno(error)) return spoolError('receive WAL', error)
    throw error
  }
}

function isErrno(error: unknown): boolean {
  return error instanceof Error && 'errno' in error
}

function firstStatus(
  options: ReceiverOptions,
  last: ReceiverStatus | undefined,
): StatusPublisher['current'] {
  const { repository, servers, slot, clock } = options
  const earlier = last && acknowledgedOf(last)
  return {
    cluster: repository.identity.cluster,
    state: 'starting',
    server: servers.map(describeServer).join(', '),
    slot,
    pid: process.pid,
    startedAtMs: clock.now(),
    timeline: undefined,
    writeLsn: undefined,
    flushLsn: undefined,
    earlierTimeline: earlier?.timeline,
    earlierFlushLsn: earlier?.lsn,
    serverEndLsn: undefined,
    lagBytes: undefined,
    connectedAtMs: undefined,
    lastMessageAtMs: undefined,
    waitingSegments: 0,
    newGaps: 0,
    lastError: undefined,
    publishedAtMs: clock.now(),
  }
}

function openHandOver(status: StatusPublisher, context: ReceivedContext): HandOver {
  const { options } = context
  const { repository, clock } = options
  return new HandOver({
    wal: repository.wal,
    segmentBytes: repository.identity.segmentBytes,
    clock,
    store: async (finished, content) => storeReceived(context, finished, content),
    onRetry: (error) => {
      status.update({
        lastError: {
          code: error.code,
          message: error.message,
          hint: error.hint,
          atMs: clock.now(),
        },
      })
      options.onEvent({ kind: 'hand-over-retried', text: error.message, error })
    },
    onWaiting: (waitingSegments) => status.update({ waitingSegments }),
  })
}

async function drain({ handOver, options }: StreamSurroundings): Promise<void> {
  const timeout = AbortSignal.timeout(options.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS)
  // What is not handed over stays in the spool: the next start does it.
  await handOver.drain(timeout).catch(() => undefined)
}
