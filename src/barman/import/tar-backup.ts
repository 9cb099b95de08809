/**
 * A backup that Barman keeps as archives: `base.tar`, one `<oid>.tar` for each tablespace,
 * compressed or not.
 */
import { join } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { BaseBackupSink } from '../../wire/base-backup-sink.ts'
import { readRegular } from '../../util/read-regular.ts'
import { type TarHandler, TarReader } from '../../postgres/tar/tar-reader.ts'
import type { BarmanBackup } from './barman-backup.ts'
import { ARCHIVE_ENDINGS, type ArchiveEnding, unpackedFile } from './unpacked-file.ts'

/** An archive ends with two blocks of zeros. */
const TRAILER_BYTES = 1024
/** A server writes some 150 bytes for each file. */
const MANIFEST_BYTES_MAX = 1024 ** 3

interface Archive {
  readonly path: string
  readonly ending: ArchiveEnding
  /** Undefined: the data directory. */
  readonly tablespaceOid: number | undefined
}

/**
 * The names in the folder of archives → the archives in the order they are read; why not when one
 * is missing.
 */
export function archivesOf(
  names: readonly string[],
  directory: string,
  tablespaces: BarmanBackup['tablespaces'],
): readonly Archive[] | string {
  const archives: Archive[] = []
  for (const oid of [...tablespaces.map((tablespace) => tablespace.oid), undefined]) {
    const stem = oid === undefined ? 'base' : String(oid)
    const ending = ARCHIVE_ENDINGS.find((each) => names.includes(`${stem}${each}`))
    if (ending === undefined) return `"${directory}" has no archive "${stem}.tar"`
    archives.push({ path: join(directory, `${stem}${ending}`), ending, tablespaceOid: oid })
  }
  return archives
}

/**
 * Gives the entries of all archives to `sink`.
 * @throws {BackstayError} FAILED when one is damaged; what the sink throws.
 */
export async function feedArchives(
  archives: readonly Archive[],
  sink: BaseBackupSink,
  signal: AbortSignal,
): Promise<void> {
  for (const archive of archives) await feedArchive(archive, sink, signal)
}

async function feedArchive(
  { path, ending, tablespaceOid }: Archive,
  sink: BaseBackupSink,
  signal: AbortSignal,
): Promise<void> {
  const handler: TarHandler = {
    entry: (entry) => sink.entry({ ...entry, tablespaceOid }),
    data: (chunk) => sink.data(chunk),
    endFile: () => sink.endFile(),
  }
  const reader = new TarReader(handler)
  let tail = Buffer.alloc(0)
  try {
    for await (const chunk of unpackedFile(path, ending)) {
      signal.throwIfAborted()
      await reader.push(chunk)
      tail = Buffer.concat([tail, chunk.subarray(-TRAILER_BYTES)]).subarray(-TRAILER_BYTES)
    }
    reader.finish()
  } catch (error) {
    if (!(error instanceof BackstayError) || error.code !== 'POSTGRES_PROTOCOL') throw error
    throw damaged(path, error.message, error)
  }
  if (tail.length === TRAILER_BYTES && tail.every((byte) => byte === 0)) return
  throw damaged(path, 'the end of the archive is missing')
}

function damaged(path: string, why: string, cause?: unknown): BackstayError {
  return new BackstayError('FAILED', `Cannot read "${path}": ${why}`, { cause })
}

/** backup_manifest beside the archives; undefined before PostgreSQL 13. */
export async function readManifest(directory: string): Promise<Buffer | undefined> {
  try {
    return await readRegular(join(directory, 'backup_manifest'), MANIFEST_BYTES_MAX)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw damaged(join(directory, 'backup_manifest'), (error as Error).message, error)
  }
}
