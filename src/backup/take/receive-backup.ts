/**
 * Runs BASE_BACKUP into a receiver, by the best method the server takes part in.
 */
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import type { BackupId, BackupMethod } from '../../repository/backup-info.ts'
import { discardBackup } from '../../repository/garbage.ts'
import { DEFAULT_LEVEL } from '../../repository/codec.ts'
import type { BaseBackupStart } from '../../wire/base-backup-sink.ts'
import { ReplicationConnection } from '../../wire/replication-connection.ts'
import { SqlClient } from '../../wire/sql-client.ts'
import { formatSize } from '../../util/size.ts'
import type { WrittenPack } from '../../repository/pack-writer.ts'
import { BackupReceiver, type ReceivedBackup } from './backup-receiver.ts'
import { isInterruption } from './interruption.ts'
import { readFiles } from './read-files.ts'
import type { ReceiveContext } from './receive-context.ts'
import type { ReferenceChoice, ChangedPagesChoice, FullChoice } from './choose-reference.ts'
import { openHeldParts } from './held-parts.ts'
import type { HeldReference } from './open-reference.ts'
import { receiveOrFull } from './receive-or-full.ts'
import { type LimitOf, readRelationLimits } from './relation-limits.ts'
import type { OpenReference, ReceiveOptions } from './receive-options.ts'
import { referenceManifest } from './reference-manifest.ts'
import { checkSameServer } from './same-server.ts'

/**
 * SQLSTATE by which a server says that it cannot do an incremental backup now:
 * object_not_in_prerequisite_state.
 */
const NOT_NOW = '55000'

/**
 * What a full that is killed has done for nothing is at most the work of so long, or of one pack.
 */
const PACK_MS = 5 * 60_000

/**
 * Summaries name each changed block; to read those of a week of heavy writing takes the server
 * minutes.
 */
const LIMITS_TIMEOUT_MS = 30 * 60_000

/** What came in, and how. */
export interface ReceivedBy {
  /** As planned, or a full where the reference turned out to be damaged. */
  readonly choice: ReferenceChoice
  readonly method: BackupMethod
  readonly received: ReceivedBackup
  /** What interrupted fulls it went on with; undefined when it began anew. */
  readonly resumed?: ResumedFulls
}

/** Interrupted fulls that a full went on with. */
export interface ResumedFulls {
  /** Oldest first. */
  readonly ids: readonly BackupId[]
  readonly packs: readonly WrittenPack[]
}

/** Receives a backup; everything is durable when it resolves, nothing is published. */
export async function receiveBackup(context: ReceiveContext): Promise<ReceivedBy> {
  return await receiveOrFull(context, context.choice, {
    full: async (choice) => receiveFull(context, choice),
    changes: async (choice, reference) => receiveChanges(context, choice, reference),
    onFull: (because) =>
      context.options.onEvent({ kind: 'warning', text: `Taking a full, because ${because}` }),
  })
}

async function receiveFull(context: ReceiveContext, choice: FullChoice): Promise<ReceivedBy> {
  const { cluster, options } = context
  const warn = (text: string) => options.onEvent({ kind: 'warning', text })
  await using held = await openHeldParts(cluster, warn)
  if (held === undefined) {
    return { choice, method: 'stream', received: await readOrReceive(context, {}) }
  }
  const bytes = held.written.reduce((sum, { storedBytes }) => sum + storedBytes, 0)
  warn(
    `Going on with backup ${held.ids.join(', ')}, which was interrupted: ${formatSize(bytes)} are stored already, and each page is compared`,
  )
  const received = await readOrReceive(context, { reference: held })
  const resumed = { ids: held.ids, packs: held.written }
  return { choice, method: 'stream', received, resumed }
}

async function receiveChanges(
  context: ReceiveContext,
  choice: ChangedPagesChoice,
  reference: HeldReference,
): Promise<ReceivedBy> {
  const [first, second] = choice.methods
  // The server's own summaries are there already; a map may have to be made of much WAL.
  const isLeftToServer = first === 'incremental' && context.options.files?.otherwise === 'stream'
  const reading = receiveOptions(context, { method: 'page-lsn', reference })
  const read = isLeftToServer ? undefined : await readFiles(context, reading, reference)
  if (read !== undefined) return { choice, ...read }
  const way = { method: first, reference, held: reference }
  try {
    const received =
      first === 'incremental' ? await receiveIncremental(context, way) : await receive(context, way)
    return { choice, method: first, received }
  } catch (error) {
    if (second === undefined || !isRefusal(error)) throw error
    const text = `${error.message}; changed pages are found by their LSN instead`
    context.options.onEvent({ kind: 'warning', text })
    await discardBackup(context.cluster, context.id)
    const received = await receive(context, { method: second, reference, held: reference })
    return { choice, method: second, received }
  }
}

/** Beside the stream the server is asked by SQL what the stream does not say. */
async function receiveIncremental(
  context: ReceiveContext,
  way: ReceiveWay & { readonly held: HeldReference },
): Promise<ReceivedBackup> {
  const { connection, signal } = context.options
  const order = { ...connection, signal, statementTimeoutMs: LIMITS_TIMEOUT_MS }
  await using sql = await SqlClient.connect(order).catch((error: unknown) => {
    throw asRefusal(error, signal)
  })
  const limits = async ({ timeline, startLsn: endLsn }: BaseBackupStart): Promise<LimitOf> => {
    try {
      const { startLsn } = way.held.info
      return await readRelationLimits(sql, { timeline, startLsn, endLsn })
    } catch (error) {
      throw asRefusal(error, signal)
    }
  }
  return await receive(context, { ...way, limits })
}

/** What stands in the way of SQL need not stand in the way of the other method. */
function asRefusal(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted || !isBackstayError(error)) return error
  const { message, hint } = error
  const text = `Cannot tell by SQL which relations were cut: ${message}`
  return new BackstayError('POSTGRES_PROTOCOL', text, { hint, cause: error })
}

/** How a backup is received; by default whole and anew. */
interface ReceiveWay {
  readonly limits?: ReceiveOptions['limits']
  readonly method?: BackupMethod
  readonly reference?: OpenReference
  /** Where the reference is a listed backup. */
  readonly held?: HeldReference
}

/** A full: read where it lies, or streamed. */
async function readOrReceive(context: ReceiveContext, way: ReceiveWay): Promise<ReceivedBackup> {
  const read = await readFiles(context, receiveOptions(context, way))
  return read === undefined ? await receive(context, way) : read.received
}

async function receive(context: ReceiveContext, way: ReceiveWay): Promise<ReceivedBackup> {
  const { options } = context
  const { signal } = options
  await using connection = await ReplicationConnection.connect({ ...options.connection, signal })
  await checkSameServer(connection, context)
  const { held, method = 'stream' } = way
  const incremental = method === 'incremental' && held !== undefined
  if (incremental) {
    await connection.uploadManifest(referenceManifest(held.info, held.manifest), { signal })
  }
  await using receiver = await BackupReceiver.create(receiveOptions(context, way))
  try {
    await connection.baseBackup(
      {
        label: options.label ?? `backstay ${context.id}`,
        checkpoint: options.checkpoint ?? 'fast',
        tablespaceMap: false,
        incremental,
        signal,
        ...(options.maxRateBytes === undefined ? {} : { maxRateBytes: options.maxRateBytes }),
      },
      receiver,
    )
  } catch (error) {
    // What cannot be kept is stored again; the reason of the failure matters more.
    if (isInterruption(error, signal)) await receiver.keep().catch(() => undefined)
    throw error
  }
  return await receiver.finish()
}

function receiveOptions(
  context: ReceiveContext,
  { method = 'stream', reference, limits }: ReceiveWay,
): ReceiveOptions {
  const { options, cluster, id, server } = context
  const { packBytes } = options
  return {
    cluster,
    id,
    method,
    reference,
    dataChecksums: server.dataChecksums,
    level: options.level ?? DEFAULT_LEVEL,
    workers: options.workers,
    onProgress: (soFar) => options.onEvent({ kind: 'progress', ...soFar }),
    ...(packBytes === undefined ? {} : { packBytes }),
    ...(limits === undefined ? {} : { limits }),
    ...(method === 'stream' ? { parts: { packMs: PACK_MS } } : {}),
  }
}

/**
 * Whether the other method may do what this one did not: the server will not, or what it sends is
 * not understood.
 */
function isRefusal(error: unknown): error is BackstayError {
  if (isBackstayError(error, 'POSTGRES_PROTOCOL')) return true
  return isBackstayError(error, 'POSTGRES_QUERY') && error.details['sqlstate'] === NOT_NOW
}
