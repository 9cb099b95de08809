/**
 * What must be known of a backup before its data is taken in: whose it is, and whether its pages
 * have checksums. What its metadata does not say is read from its pg_control.
 */
import { join } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import {
  CONTROL_FILE_PATH,
  type ControlFile,
  parseControlFile,
} from '../../postgres/control-file.ts'
import type { ServerIdentity } from '../../repository/cluster-repository.ts'
import { SMALL_FILE_BYTES } from '../../host/read-limit.ts'
import { readRegular } from '../../util/read-regular.ts'
import { TarReader } from '../../postgres/tar/tar-reader.ts'
import type { BackupData } from './backup-source.ts'
import type { BarmanBackup } from './barman-backup.ts'
import { archivesOf } from './tar-backup.ts'
import { unpackedFile } from './unpacked-file.ts'

/** The cluster that a backup is of, from its metadata or its pg_control. */
export interface BackupOrigin extends ServerIdentity {
  readonly dataChecksums: boolean
}

/**
 * @throws {BackstayError} FAILED when there is no pg_control where one is needed;
 * POSTGRES_FILE_INVALID; the signal's reason
 */
export async function readBackupFacts(
  backup: BarmanBackup,
  data: BackupData,
  signal: AbortSignal,
): Promise<BackupOrigin> {
  const { versionNumber, segmentBytes, systemIdentifier, dataChecksums } = backup
  const major = Math.floor(versionNumber / 10_000)
  if (systemIdentifier !== undefined && dataChecksums !== undefined) {
    return { systemIdentifier, dataChecksums, major, segmentBytes }
  }
  const control = await readControl(backup, data, signal)
  return {
    systemIdentifier: control.systemIdentifier,
    dataChecksums: control.dataChecksumVersion > 0,
    major,
    segmentBytes: control.segmentBytes,
  }
}

async function readControl(
  backup: BarmanBackup,
  data: BackupData,
  signal: AbortSignal,
): Promise<ControlFile> {
  const content =
    data.kind === 'plain'
      ? await readControlFile(backup, join(data.directory, CONTROL_FILE_PATH))
      : await readFromArchive(backup, data, signal)
  if (content !== undefined) return parseControlFile(content)
  throw failed(backup, `it has no ${CONTROL_FILE_PATH}`)
}

/** Undefined when it is not there. @throws {BackstayError} FAILED for what cannot be one */
async function readControlFile(backup: BarmanBackup, path: string): Promise<Buffer | undefined> {
  try {
    return await readRegular(path, SMALL_FILE_BYTES)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw failed(backup, `"${path}" cannot be read: ${message}`)
  }
}

function failed({ id }: BarmanBackup, why: string): BackstayError {
  return new BackstayError('FAILED', `Cannot import backup ${id}: ${why}`)
}

/** The file stands at the end of the archive, so all of it is read, however much it unpacks to. */
async function readFromArchive(
  backup: BarmanBackup,
  data: BackupData,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const archives = archivesOf(data.names, data.directory, backup.tablespaces)
  const base = typeof archives === 'string' ? undefined : archives.at(-1)
  if (base === undefined) return undefined
  let parts: Buffer[] | undefined
  let found: Buffer | undefined
  const reader = new TarReader({
    entry: ({ path, sizeBytes }) => {
      parts = path === CONTROL_FILE_PATH ? [] : undefined
      if (parts === undefined || sizeBytes <= SMALL_FILE_BYTES) return
      throw failed(backup, `its ${CONTROL_FILE_PATH} has ${sizeBytes} bytes`)
    },
    data: (chunk) => void parts?.push(Buffer.from(chunk)),
    endFile: () => {
      if (parts !== undefined) found = Buffer.concat(parts)
    },
  })
  for await (const chunk of unpackedFile(base.path, base.ending)) {
    signal.throwIfAborted()
    await reader.push(chunk)
    if (found !== undefined) break
  }
  return found
}
