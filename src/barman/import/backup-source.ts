/**
 * The data of one Barman backup, whichever way it is kept, as a base backup for a sink.
 */
import { join } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { parseBackupLabel } from '../../postgres/backup-label.ts'
import { CONTROL_FILE_PATH, parseControlFile } from '../../postgres/control-file.ts'
import { formatLsn } from '../../postgres/lsn.ts'
import type { ServerIdentity } from '../../repository/cluster-repository.ts'
import type { BaseBackupSink } from '../../wire/base-backup-sink.ts'
import type { BarmanBackup } from './barman-backup.ts'
import { listOptional } from './barman-place.ts'
import { ObservedSink } from './observed-sink.ts'
import { feedDirectories } from './plain-backup.ts'
import { archivesOf, feedArchives, readManifest } from './tar-backup.ts'

/** How the data is kept and where. */
export interface BackupData {
  readonly kind: 'plain' | 'tar'
  readonly directory: string
  readonly names: readonly string[]
}

/** What the data says of itself. */
export interface FedBackup {
  /** The server's manifest is stored and describes what a restore writes. */
  readonly manifestHolds: boolean
}

/** Looks for the data; says why it cannot be read. */
export async function findData(backup: BarmanBackup): Promise<BackupData | string> {
  if (backup.isEncrypted) return 'it is encrypted'
  for (const folder of ['data', 'pgdata']) {
    const directory = join(backup.directory, folder)
    const names = await listOptional(directory)
    if (names.some((name) => name.endsWith('.gpg'))) return 'it is encrypted'
    if (names.includes('PG_VERSION')) return { kind: 'plain', directory, names }
    if (!names.some((name) => name.startsWith('base.tar'))) continue
    const archives = archivesOf(names, directory, backup.tablespaces)
    return typeof archives === 'string' ? archives : { kind: 'tar', directory, names }
  }
  return `there is no data below "${backup.directory}"`
}

/**
 * Gives the whole backup to `sink`, begin and end included, and checks that it is what its metadata
 * says.
 * @throws {BackstayError} FAILED, POSTGRES_IDENTITY; what the sink throws.
 */
export async function feedBackup(
  backup: BarmanBackup,
  data: BackupData,
  to: {
    readonly sink: BaseBackupSink
    readonly identity: ServerIdentity
    readonly signal: AbortSignal
  },
): Promise<FedBackup> {
  const sink = new ObservedSink(to.sink)
  const { startLsn, stopLsn, timeline, tablespaces } = backup
  const spaces = tablespaces.map(({ oid, location }) => ({ oid, location, sizeBytes: undefined }))
  const main = { oid: undefined, location: undefined, sizeBytes: backup.sizeBytes }
  await sink.begin({ startLsn, timeline, tablespaces: [...spaces, main] })
  if (data.kind === 'plain') {
    await feedDirectories(backup, data.directory, { sink, signal: to.signal })
  } else {
    const archives = archivesOf(data.names, data.directory, tablespaces)
    if (typeof archives === 'string') throw wrong(backup, archives)
    await feedArchives(archives, sink, to.signal)
  }
  await addMissing(backup, sink)
  const manifest = await readManifest(data.directory)
  // Barman's own manifests have other sums than the server's, and nothing to compare them with.
  const isServers = manifest?.includes('"Checksum-Algorithm": "CRC32C"') === true
  if (manifest !== undefined && isServers) await sink.manifest(manifest)
  await sink.end({ endLsn: stopLsn, timeline })
  check(backup, sink, to.identity)
  return { manifestHolds: isServers && sink.content('tablespace_map') === undefined }
}

/**
 * Links of tablespaces, which archives do not hold, and the label where only the metadata has it.
 */
async function addMissing(backup: BarmanBackup, sink: ObservedSink): Promise<void> {
  const common = {
    tablespaceOid: undefined,
    modifiedAtMs: Math.floor(backup.startedAt.getTime() / 1000) * 1000,
  }
  for (const { oid, location } of backup.tablespaces) {
    const path = `pg_tblspc/${oid}`
    if (sink.hasLink(path)) continue
    const link = { ...common, kind: 'link', path, sizeBytes: 0, mode: 0o777 } as const
    await sink.entry({ ...link, target: location })
  }
  if (sink.content('backup_label') !== undefined) return
  if (backup.label === undefined) throw wrong(backup, 'it has no backup_label')
  const content = Buffer.from(backup.label, 'utf8')
  const file = { ...common, kind: 'file', path: 'backup_label', mode: 0o600 } as const
  await sink.entry({ ...file, sizeBytes: content.length, target: undefined })
  await sink.data(content)
  await sink.endFile()
}

function check(backup: BarmanBackup, sink: ObservedSink, identity: ServerIdentity): void {
  const control = sink.content(CONTROL_FILE_PATH)
  if (control === undefined) throw wrong(backup, `it has no ${CONTROL_FILE_PATH}`)
  const { systemIdentifier, major } = parseControlFile(control)
  if (systemIdentifier !== identity.systemIdentifier || major !== identity.major) {
    throw new BackstayError(
      'POSTGRES_IDENTITY',
      `Cannot import backup ${backup.id}: its pg_control is of system identifier ${systemIdentifier} and PostgreSQL ${major}, its metadata says ${identity.systemIdentifier} and ${identity.major}`,
    )
  }
  const label = parseBackupLabel(sink.content('backup_label')?.toString() ?? backup.label ?? '')
  if (label.startLsn === backup.startLsn) return
  const found = formatLsn(label.startLsn)
  throw wrong(
    backup,
    `its backup_label begins at ${found}, its metadata at ${formatLsn(backup.startLsn)}`,
  )
}

function wrong(backup: BarmanBackup, why: string): BackstayError {
  return new BackstayError('FAILED', `Cannot import backup ${backup.id}: ${why}`)
}
