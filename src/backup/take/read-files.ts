/**
 * The files are read where they lie, instead of streamed.
 */
import { isBackstayError } from '../../errors/backstay-error.ts'
import { versionFacts } from '../../postgres/version.ts'
import { Pace } from '../../util/pace.ts'
import { ReplicationConnection } from '../../wire/replication-connection.ts'
import { SqlClient } from '../../wire/sql-client.ts'
import { OpenFiles } from '../files/open-files.ts'
import {
  beginReading,
  type BegunReading,
  type FilesWish,
  receiveFiles,
} from '../files/receive-files.ts'
import type { BackupMethod } from '../../repository/backup-info.ts'
import { BackupReceiver, type ReceivedBackup } from './backup-receiver.ts'
import { isInterruption } from './interruption.ts'
import { mappedBlocks } from './mapped-blocks.ts'
import type { HeldReference } from './open-reference.ts'
import type { ReceiveContext } from './receive-context.ts'
import type { ReceiveOptions } from './receive-options.ts'
import { checkSameServer } from './same-server.ts'
import type { FilesWanted } from './take-options.ts'

/**
 * A spread checkpoint takes most of checkpoint_timeout, which is a day at most. Whoever waits for
 * less aborts.
 */
const START_TIMEOUT_MS = 25 * 60 * 60_000

/** Codes of errors that say that here they cannot be read; the stream needs less. */
const UNREADABLE: readonly string[] = [
  'DIRECTORY_OWNER',
  'FAILED',
  'POSTGRES_IDENTITY',
  'POSTGRES_FILE_INVALID',
  'POSTGRES_AUTH',
  'POSTGRES_HBA',
  'POSTGRES_QUERY',
]

/** What was read, and how its pages were chosen. */
export interface ReadBy {
  readonly method: BackupMethod
  readonly received: ReceivedBackup
}

/**
 * Everything is durable when it resolves, nothing is published. Undefined when the files have to be
 * streamed: they cannot be read, and the wish allows it.
 * @param held the reference, where it is a listed backup
 * @throws {BackstayError} why they cannot be read; what reading, storing and the session throw
 */
export async function readFiles(
  context: ReceiveContext,
  receiving: ReceiveOptions,
  held?: HeldReference,
): Promise<ReadBy | undefined> {
  const { clock, signal, maxRateBytes, files: wanted } = context.options
  if (wanted === undefined) return undefined
  await using files = new OpenFiles()
  const begun = await beginOrWarn(context, wanted, files)
  if (begun === undefined) return undefined
  await using sql = begun.wish.sql
  const way = { sql, begun: begun.reading }
  const mapped = held && (await mappedBlocks(context, held.info, way))
  const pace = new Pace(maxRateBytes, clock)
  const received = await receiveBegun(begun, {
    ...receiving,
    ...(mapped === undefined ? {} : { mapped }),
    makesManifest: versionFacts(context.server.major).backupManifest,
    pace: async (bytes) => pace.spend(bytes, signal),
  })
  return { method: mapped === undefined ? receiving.method : 'block-map', received }
}

interface Begun {
  readonly wish: FilesWish
  readonly reading: BegunReading
}

async function beginOrWarn(
  context: ReceiveContext,
  { directory, otherwise }: FilesWanted,
  files: OpenFiles,
): Promise<Begun | undefined> {
  const { onEvent, signal } = context.options
  try {
    return await begin(context, directory, files)
  } catch (error) {
    const mayStream = otherwise === 'stream' && !signal.aborted
    if (!mayStream || !isBackstayError(error) || !UNREADABLE.includes(error.code)) throw error
    onEvent({ kind: 'warning', text: `${error.message}; they are streamed` })
    return undefined
  }
}

async function begin(context: ReceiveContext, directory: string, files: OpenFiles): Promise<Begun> {
  const { options, id } = context
  const { connection, signal, clock, label, checkpoint = 'fast' } = options
  const order = { ...connection, signal, statementTimeoutMs: START_TIMEOUT_MS }
  const sql = await SqlClient.connect(order)
  try {
    const words = { label: label ?? `backstay ${id}`, checkpoint }
    const wish = { ...words, directory, sql, files, clock, signal }
    const reading = await beginReading(wish)
    // From here on a promotion is an error of the session's end.
    await using replication = await ReplicationConnection.connect({ ...connection, signal })
    await checkSameServer(replication, context)
    return { wish, reading }
  } catch (error) {
    await sql[Symbol.asyncDispose]()
    throw error
  }
}

async function receiveBegun(
  { wish, reading }: Begun,
  options: ReceiveOptions,
): Promise<ReceivedBackup> {
  await using receiver = await BackupReceiver.create(options)
  try {
    await receiveFiles(receiver, wish, reading)
  } catch (error) {
    // What cannot be kept is read again; the reason of the failure matters more.
    if (isInterruption(error, wish.signal)) await receiver.keep().catch(() => undefined)
    throw error
  }
  return await receiver.finish()
}
