/**
 * Carries out a prepared restore.
 *
 * Whatever the process dies at: before the marker the directory is as it was; from then on until the last step it has no
 * pg_control, so no server starts on it, and the marker lets the restore be repeated; the last step names pg_control, when
 * everything else is durable.
 */
import { join } from 'node:path'
import { fileError } from '../host/file-error.ts'
import { makeDirectory, replaceFile } from '../host/local-files.ts'
import { syncFileSystems } from '../host/sync-tree.ts'
import { appendConfLines } from '../postgres/conf-file.ts'
import { CONTROL_FILE_PATH, type ControlFile } from '../postgres/control-file.ts'
import { formatTablespaceMap } from '../postgres/tablespace-map.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { ManifestReader } from '../repository/manifest-reader.ts'
import type { StoreAddress } from '../store/store.ts'
import type { Clock } from '../util/clock.ts'
import { thisProcess } from '../util/process-identity.ts'
import { copyWal } from './copy-wal.ts'
import type { Owner } from './file-job.ts'
import { removeMarker, type RestoreMarker, writeMarker } from './marker.ts'
import { emptyDirectory, removeControlFile, removeForeign } from './old-content.ts'
import type { PreparedRestore } from './prepare.ts'
import { type RecoveryOptions, recoveryFiles } from './recovery-settings.ts'
import { standInFiles } from './stand-in-files.ts'
import type { WriteProgress } from './write-files.ts'
import { writeTree } from './write-tree.ts'

/** What carrying out needs besides what was prepared. */
export interface RestoreAround {
  readonly repository: ClusterRepository
  /** How the workers open its store. Default: the directory it is in. */
  readonly storeAddress?: StoreAddress
  readonly clock: Clock
  readonly recovery: RecoveryOptions
  /** Makes the files of configuration and recovery instead: the copy is to be a standby of the cluster. */
  readonly configure?: (directory: string, control: ControlFile) => Promise<void>
  /** Put the WAL into the directory; `recovery` then names NO_RESTORE_COMMAND. */
  readonly copiesWal?: boolean
  /** Make configuration files where the backup has none, so that the directory can be opened. */
  readonly standIns?: boolean
  /** OS user who is to own everything; undefined: whoever runs Backstay. */
  readonly owner: Owner | undefined
  /** Worker threads; as many as processors is right. */
  readonly workers: number
  readonly signal?: AbortSignal | undefined
  /** Called often; cheap things only. */
  onProgress?(progress: WriteProgress): void
  /** Told when a phase begins, for progress and for tests that kill the process there. */
  onPhase?(phase: RestorePhase): void
}

export const RESTORE_PHASES = [
  'mark',
  'clear',
  'write',
  'settings',
  'sync',
  'name',
  'unmark',
] as const

/** The steps of a restore in order; `name` is the one that makes the directory startable. */
export type RestorePhase = (typeof RESTORE_PHASES)[number]

/** What was done. */
export interface RestoreResult extends WriteProgress {
  readonly elapsedMs: number
}

/**
 * Restores. The caller holds the shared lock of the backup.
 * @throws {BackstayError} REPOSITORY_DAMAGED, REPOSITORY_LOCKED, DISK_SPACE, HOST_PRIVILEGE, FAILED; the signal's reason.
 */
export async function runRestore(
  prepared: PreparedRestore,
  around: RestoreAround,
): Promise<RestoreResult> {
  const startedAt = around.clock.monotonic()
  try {
    const progress = await restore(prepared, around)
    return { ...progress, elapsedMs: Math.round(around.clock.monotonic() - startedAt) }
  } catch (error) {
    around.signal?.throwIfAborted()
    throw fileError('this machine', `restore into "${prepared.layout.directory}"`, error)
  }
}

async function restore(prepared: PreparedRestore, around: RestoreAround): Promise<WriteProgress> {
  const { layout, control } = prepared
  const { directory } = layout
  const begin = (phase: RestorePhase): void => {
    around.signal?.throwIfAborted()
    around.onPhase?.(phase)
  }
  begin('mark')
  await mark(prepared, around)
  begin('clear')
  await clear(prepared)
  begin('write')
  const progress = await writeAll(prepared, around)
  begin('settings')
  await writeSettings(prepared, around)
  if (around.copiesWal === true) {
    const { owner, signal } = around
    await copyWal(around.repository, prepared.plan, { directory, owner, signal })
  }
  begin('sync')
  await syncFileSystems(directoriesOf(prepared))
  begin('name')
  const mode = prepared.survey.special.get(CONTROL_FILE_PATH)?.mode ?? 0o600
  await replaceFile(join(directory, CONTROL_FILE_PATH), control.bytes, {
    mode,
    owner: around.owner,
  })
  begin('unmark')
  for (const place of directoriesOf(prepared).reverse()) await removeMarker(place)
  return progress
}

function directoriesOf({ layout }: PreparedRestore): string[] {
  return [layout.directory, ...layout.tablespaces.map((place) => place.directory)]
}

async function mark(prepared: PreparedRestore, around: RestoreAround): Promise<void> {
  const { plan, layout, survey } = prepared
  const marker: RestoreMarker = {
    directory: layout.directory,
    cluster: plan.cluster,
    backup: plan.backup.id,
    systemIdentifier: plan.backup.postgres.systemIdentifier,
    startedAt: new Date(around.clock.now()).toISOString(),
    holder: thisProcess(),
  }
  for (const directory of directoriesOf(prepared)) {
    await makeDirectory(directory, { mode: survey.directoryMode, owner: around.owner })
    await writeMarker(directory, marker)
  }
}

/** Takes away what must not stay. pg_control goes first. */
async function clear(prepared: PreparedRestore): Promise<void> {
  const { layout, mode, paths, filledTablespaces } = prepared
  if (mode !== 'fresh') await removeControlFile(layout.directory)
  if (mode === 'redo') await emptyDirectory(layout.directory)
  if (mode === 'delta' && paths !== undefined) return await removeForeign(layout.directory, paths)
  for (const directory of filledTablespaces) await emptyDirectory(directory)
}

async function writeAll(prepared: PreparedRestore, around: RestoreAround): Promise<WriteProgress> {
  const { plan, layout, survey, mode } = prepared
  const { store, names, identity } = around.repository
  await using manifest = await ManifestReader.open(store, names.manifest(plan.backup.id))
  return await writeTree(manifest, {
    store: around.storeAddress ?? { kind: 'disk', directory: store.location },
    cluster: identity.cluster,
    owner: around.owner,
    layout,
    directoryMode: survey.directoryMode,
    isDelta: mode === 'delta',
    workers: around.workers,
    signal: around.signal,
    onProgress: (progress) => around.onProgress?.(progress),
  })
}

/** Writes what the held-back files become: settings of recovery, and the map of the tablespaces. */
async function writeSettings(prepared: PreparedRestore, around: RestoreAround): Promise<void> {
  const { plan, layout, contents, survey, control } = prepared
  const { autoConf, files } =
    around.configure === undefined
      ? recoveryFiles(plan, around.recovery)
      : { autoConf: [], files: {} }
  const mode = survey.special.get('postgresql.auto.conf')?.mode ?? 0o600
  const write = (name: string, content: string): Promise<void> =>
    replaceFile(join(layout.directory, name), content, { mode, owner: around.owner })
  await write(
    'postgresql.auto.conf',
    appendConfLines(contents.get('postgresql.auto.conf') ?? '', autoConf),
  )
  const standIns = around.standIns === true ? standInFiles(contents, control.values) : {}
  for (const [name, content] of Object.entries({ ...files, ...standIns }))
    await write(name, content)
  await around.configure?.(layout.directory, control.values)
  if (!contents.has('tablespace_map')) return
  const links = layout.tablespaces.map(({ oid, directory }) => ({ oid, location: directory }))
  await write('tablespace_map', formatTablespaceMap(links, plan.backup.postgres.major))
}
