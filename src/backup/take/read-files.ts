/**
 * The files are read where they lie, instead of streamed.
 */
import { isBackstayError } from '../../errors/backstay-error.ts'
import { versionFacts } from '../../postgres/version.ts'
import { Pace } from '../../util/pace.ts'
import { SqlClient } from '../../wire/sql-client.ts'
import { OpenFiles } from '../files/open-files.ts'
import {
  beginReading,
  type BegunReading,
  type FilesWish,
  receiveFiles,
} from '../files/receive-files.ts'
import { BackupReceiver, type ReceivedBackup } from './backup-receiver.ts'
import { isInterruption } from './interruption.ts'
import type { ReceiveContext } from './receive-context.ts'
import type { ReceiveOptions } from './receive-options.ts'
import type { FilesWanted } from './take-options.ts'

/** Codes of errors that say that here they cannot be read; the stream needs less. */
const UNREADABLE: readonly string[] = [
  'DIRECTORY_OWNER',
  'POSTGRES_IDENTITY',
  'POSTGRES_FILE_INVALID',
  'POSTGRES_AUTH',
  'POSTGRES_HBA',
  'POSTGRES_QUERY',
]

/**
 * Everything is durable when it resolves, nothing is published. Undefined when the files have to be
 * streamed: they cannot be read, and the wish allows it.
 * @throws {BackstayError} why they cannot be read; what reading, storing and the session throw
 */
export async function readFiles(
  context: ReceiveContext,
  receiving: ReceiveOptions,
  wanted: FilesWanted,
): Promise<ReceivedBackup | undefined> {
  await using files = new OpenFiles()
  const begun = await beginOrWarn(context, wanted, files)
  if (begun === undefined) return undefined
  await using _session = begun.wish.sql
  const { clock, signal, maxRateBytes } = context.options
  const pace = new Pace(maxRateBytes, clock)
  return await receiveBegun(begun, {
    ...receiving,
    makesManifest: versionFacts(context.server.major).backupManifest,
    pace: async (bytes) => pace.spend(bytes, signal),
  })
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

async function begin(
  { options, id }: ReceiveContext,
  directory: string,
  files: OpenFiles,
): Promise<Begun> {
  const { connection, signal, clock, label, checkpoint = 'fast' } = options
  const sql = await SqlClient.connect({ ...connection, signal })
  try {
    const words = { label: label ?? `backstay ${id}`, checkpoint }
    const wish = { ...words, directory, sql, files, clock, signal }
    return { wish, reading: await beginReading(wish) }
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
