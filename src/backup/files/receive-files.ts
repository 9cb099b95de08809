/**
 * A backup read where the data lies, instead of streamed: the frame of PostgreSQL's own
 * pg_backup_start and pg_backup_stop, and in between each file read, judged and compressed by the
 * workers. Nothing of the server is asked to do but to log whole pages.
 */
import { stat } from 'node:fs/promises'
import { BackstayError } from '../../errors/backstay-error.ts'
import { CONTROL_FILE_PATH, type ControlFile } from '../../postgres/control-file.ts'
import { reasonOf } from '../../store/disk-error.ts'
import type { Clock } from '../../util/clock.ts'
import type { BaseBackupEntry } from '../../wire/base-backup-sink.ts'
import type { SqlClient } from '../../wire/sql-client.ts'
import type { BackupReceiver } from '../take/backup-receiver.ts'
import {
  type BackupSessionWish,
  type BegunBackup,
  startBackup,
  stopBackup,
} from './backup-session.ts'
import type { OpenFiles } from './open-files.ts'
import { readControl } from './read-control.ts'
import { requireSameDirectory } from './same-directory.ts'
import { findTablespaces, type WalkedEntry, walkDataDirectory } from './walk.ts'

/** Where and how it is read. */
export interface FilesWish extends BackupSessionWish {
  /** The data directory, absolute. */
  readonly directory: string
  /** A session of the server, which the backup has for itself. */
  readonly sql: SqlClient
  readonly files: OpenFiles
  readonly clock: Clock
  readonly signal: AbortSignal
}

const MODE = 0o777
const PRIVATE = 0o600

/** A reading that the server knows of. */
export interface BegunReading extends BegunBackup {
  readonly control: ControlFile
}

/**
 * Makes sure that the files are the server's and ours to read, and begins.
 * @throws {BackstayError} DIRECTORY_OWNER, POSTGRES_IDENTITY, POSTGRES_QUERY, …: nothing was begun
 */
export async function beginReading(wish: FilesWish): Promise<BegunReading> {
  await requireOwn(wish.directory)
  const { control } = await readControl(wish.directory, wish)
  await requireSameDirectory(wish.sql, wish.directory, control)
  return { ...(await startBackup(wish.sql, wish)), control }
}

/**
 * Reads everything into `receiver`, which is to be finished afterwards.
 * @throws {BackstayError} POSTGRES_QUERY, POSTGRES_CONNECTION_LOST, …; the signal's reason
 */
export async function receiveFiles(
  receiver: BackupReceiver,
  wish: FilesWish,
  { startLsn, timeline, control }: BegunReading,
): Promise<void> {
  const { directory, sql, signal } = wish
  const tablespaces = await findTablespaces(directory)
  const described = tablespaces.map((each) => ({ ...each, sizeBytes: undefined }))
  receiver.begin({ startLsn, timeline, tablespaces: described })
  const walked = walkDataDirectory({ root: directory, tablespaceVersion: versionOf(control) })
  for await (const entry of walked) {
    signal.throwIfAborted()
    await receiveEntry(receiver, wish, entry)
  }
  await receiver.flush()
  // Recovery of a standby's backup begins with what it says, so it is read behind all else.
  const last = await readControl(directory, wish)
  await receiveContent(receiver, wish, { path: CONTROL_FILE_PATH, content: last.bytes })
  const end = await stopBackup(sql)
  const label = { path: 'backup_label', content: Buffer.from(end.backupLabel) }
  await receiveContent(receiver, wish, label)
  receiver.end({ endLsn: end.endLsn, timeline: end.timeline })
}

/** Anybody else would have to follow what its owner may replace at any moment. */
async function requireOwn(directory: string): Promise<void> {
  const { uid } = await stat(directory).catch((cause: unknown) => {
    const text = `Cannot read the files in ${directory}: ${reasonOf(cause)}`
    throw new BackstayError('DIRECTORY_OWNER', text, { cause })
  })
  const own = process.geteuid?.()
  if (uid === own) return
  throw new BackstayError(
    'DIRECTORY_OWNER',
    `Cannot read the files in ${directory} where they lie: they belong to user ${uid}, and this is user ${own}`,
    { hint: 'Take the backup as that user (`backup.osUser`), or by the stream.' },
  )
}

function versionOf({ major, catalogVersion }: ControlFile): string {
  if (major !== undefined) return `PG_${major}_${catalogVersion}`
  const text = `Cannot read tablespaces of catalog version ${catalogVersion}: no major version has it`
  throw new BackstayError('POSTGRES_VERSION', text)
}

async function receiveEntry(
  receiver: BackupReceiver,
  { directory, files }: FilesWish,
  entry: WalkedEntry,
): Promise<void> {
  const { path } = entry
  if (entry.kind === 'directory') return receiver.entry(entryOf({ ...entry }))
  if (entry.kind === 'link') return receiver.entry(entryOf({ ...entry, mode: MODE }))
  const opened = await files.open(`${directory}/${path}`)
  if (opened === undefined) return
  const { descriptor, facts } = opened
  const modifiedAtMs = Math.floor(facts.mtimeMs / 1000) * 1000
  const head = { path, mode: facts.mode & MODE, modifiedAtMs, sizeBytes: facts.size }
  await receiver.readFile(head, descriptor, () => files.close(descriptor))
}

async function receiveContent(
  receiver: BackupReceiver,
  { clock }: FilesWish,
  { path, content }: { readonly path: string; readonly content: Buffer },
): Promise<void> {
  const modifiedAtMs = Math.floor(clock.now() / 1000) * 1000
  const sizeBytes = content.length
  await receiver.entry(entryOf({ kind: 'file', path, mode: PRIVATE, sizeBytes, modifiedAtMs }))
  await receiver.data(content)
  await receiver.endFile()
}

function entryOf(
  known: Pick<BaseBackupEntry, 'kind' | 'path' | 'mode'> & Partial<BaseBackupEntry>,
): BaseBackupEntry {
  return { sizeBytes: 0, modifiedAtMs: 0, target: undefined, tablespaceOid: undefined, ...known }
}
