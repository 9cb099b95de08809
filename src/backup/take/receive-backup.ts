/**
 * Runs BASE_BACKUP into a receiver, by the best method the server takes part in.
 */
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import type { BackupId, BackupMethod } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { discardBackup } from '../../repository/garbage.ts'
import { DEFAULT_LEVEL } from '../../repository/zstd.ts'
import { ReplicationConnection } from '../../wire/replication-connection.ts'
import { BackupReceiver, type ReceivedBackup } from './backup-receiver.ts'
import type { BackupChoice, ChangedPagesChoice, FullChoice } from './choose-reference.ts'
import { type BackupPlace, hasSamePages } from './has-same-pages.ts'
import { type HeldReference, openReference } from './open-reference.ts'
import type { OpenReference, ReceiveOptions } from './receive-options.ts'
import { referenceManifest } from './reference-manifest.ts'
import type { BackedUpServer } from './server-facts.ts'
import type { TakeBackupOptions } from './take-options.ts'

/** SQLSTATE by which a server says that it cannot do an incremental backup now: object_not_in_prerequisite_state. */
const NOT_NOW = '55000'

/** What is received for which backup. */
export interface ReceiveContext {
  readonly options: TakeBackupOptions
  readonly cluster: ClusterRepository
  readonly server: BackedUpServer
  readonly id: BackupId
  readonly choice: BackupChoice
}

/** What came in, and how. */
export interface ReceivedBy {
  /** As planned, or a full where the reference turned out to be damaged. */
  readonly choice: BackupChoice
  readonly method: BackupMethod
  readonly received: ReceivedBackup
}

/** Receives a backup; everything is durable when it resolves, nothing is published. */
export async function receiveBackup(context: ReceiveContext): Promise<ReceivedBy> {
  const { choice } = context
  if (choice.type === 'full') return await receiveFull(context, choice)
  try {
    return await receiveChanges(context, choice)
  } catch (error) {
    // A repository in which something is damaged needs a whole new backup more than ever.
    if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
    const because = `backup ${choice.reference.id} is damaged: ${error.message}`
    context.options.onEvent({ kind: 'warning', text: `Taking a full, because ${because}` })
    await discardBackup(context.cluster, context.id)
    return await receiveFull(context, { type: 'full', because })
  }
}

async function receiveFull(context: ReceiveContext, choice: FullChoice): Promise<ReceivedBy> {
  return { choice, method: 'stream', received: await receive(context, 'stream') }
}

async function receiveChanges(
  context: ReceiveContext,
  choice: ChangedPagesChoice,
): Promise<ReceivedBy> {
  await using held = await openReference(context.cluster, choice.reference)
  const reference = { ...held, hasSamePages: hasSamePages(choice.reference, placeOf(context)) }
  const [first, second] = choice.methods
  try {
    return { choice, method: first, received: await receive(context, first, reference) }
  } catch (error) {
    if (second === undefined || !isRefusal(error)) throw error
    const text = `${error.message}; changed pages are found by their LSN instead`
    context.options.onEvent({ kind: 'warning', text })
    await discardBackup(context.cluster, context.id)
    return { choice, method: second, received: await receive(context, second, reference) }
  }
}

function placeOf({ options, server }: ReceiveContext): BackupPlace {
  const { host, port } = options.connection
  return { host, port, timeline: server.timeline, logsHints: server.logsHints }
}

async function receive(
  context: ReceiveContext,
  method: BackupMethod,
  reference?: HeldReference,
): Promise<ReceivedBackup> {
  const { options } = context
  const { signal } = options
  await using connection = await ReplicationConnection.connect({ ...options.connection, signal })
  await checkSameServer(connection, context)
  const incremental = method === 'incremental' && reference !== undefined
  if (incremental) {
    await connection.uploadManifest(referenceManifest(reference.info, reference.manifest), {
      signal,
    })
  }
  await using receiver = await BackupReceiver.create(receiveOptions(context, method, reference))
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
  return await receiver.finish()
}

/** Behind one address there may be another server by now, or the same one on another timeline: the plan would be wrong. */
async function checkSameServer(
  connection: ReplicationConnection,
  { server, options }: ReceiveContext,
): Promise<void> {
  const now = await connection.identifySystem({ signal: options.signal })
  const isSame =
    now.systemIdentifier === server.systemIdentifier && now.timeline === server.timeline
  if (isSame) return
  throw new BackstayError(
    'POSTGRES_IDENTITY',
    `Cannot take the backup as planned: the server was on timeline ${server.timeline} of ${server.systemIdentifier}, and is on ${now.timeline} of ${now.systemIdentifier} now`,
    { hint: 'Take it again.' },
  )
}

function receiveOptions(
  context: ReceiveContext,
  method: BackupMethod,
  reference: OpenReference | undefined,
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
  }
}

function isRefusal(error: unknown): error is BackstayError {
  return isBackstayError(error, 'POSTGRES_QUERY') && error.details['sqlstate'] === NOT_NOW
}
