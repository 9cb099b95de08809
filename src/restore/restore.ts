/**
 * Carries out a prepared restore.
 *
 * Whatever the process dies at: before the marker the directory is as it was; from then on until
 * the last step it has no pg_control, so no server starts on it, and the marker lets the restore be
 * repeated; the last step names pg_control, when everything else is durable.
 */
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { fileError } from '../host/file-error.ts'
import { lstatIfAny, replaceFile } from '../host/local-files.ts'
import { LocalHost } from '../host/local-host.ts'
import { LocalUsers } from '../host/local-users.ts'
import { syncFileSystems } from '../host/sync-tree.ts'
import { appendConfLines } from '../postgres/conf-file.ts'
import { CONTROL_FILE_PATH, type ControlFile } from '../postgres/control-file.ts'
import { higherDemands, type ReplayDemands } from '../postgres/parameter-change.ts'
import { formatTablespaceMap } from '../postgres/tablespace-map.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { openManifest } from '../repository/open-manifest.ts'
import type { Store, StoreAddress } from '../store/store.ts'
import type { Clock } from '../util/clock.ts'
import { thisProcess } from '../util/process-identity.ts'
import { copyWal } from './copy-wal.ts'
import type { Owner } from './worker-job.ts'
import { closeRoots, HeldPlaces, type HeldRoots, openRoots } from './held-places.ts'
import { withoutRestoreSettings } from './left-settings.ts'
import { type LinkedPlace, linkedPlaces } from './layout.ts'
import { removeMarker, type RestoreMarker, writeMarker } from './marker.ts'
import { emptyDirectory, removeControlFile, removeForeign } from './old-content.ts'
import type { PreparedRestore } from './prepare.ts'
import { type RecoveryOptions, recoveryFiles } from './recovery-settings.ts'
import { demandedSettings } from './replay-demands.ts'
import { standInFiles } from './stand-in-files.ts'
import type { WriteProgress } from './feed-workers.ts'
import { writeTree } from './write-tree.ts'

/** What carrying out needs besides what was prepared. */
export interface RestoreAround {
  readonly repository: ClusterRepository
  readonly clock: Clock
  readonly recovery: RecoveryOptions
  /**
   * Makes the files of configuration and recovery instead: the copy is to be a standby of the
   * cluster.
   */
  readonly configure?: (directory: string, control: ControlFile) => Promise<void>
  /**
   * What the WAL demands that will be replayed (replay-demands.ts), besides what the backup's
   * pg_control says.
   */
  readonly demands?: ReplayDemands | undefined
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

/** The steps in their order. Whichever one it dies at, the restore can be repeated. */
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

/** How much was written, and in which time. */
export interface RestoreResult extends WriteProgress {
  readonly elapsedMs: number
}

/**
 * Restores. The caller holds the shared lock of the backup.
 * @throws {BackstayError} REPOSITORY_DAMAGED, REPOSITORY_LOCKED, DISK_SPACE, HOST_PRIVILEGE,
 * FAILED; the signal's reason.
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
  const { layout, mode } = prepared
  const { owner } = around
  around.signal?.throwIfAborted()
  around.onPhase?.('mark')
  await makeDirectories(prepared, owner)
  const held = openRoots(layout, { owner, isDelta: mode === 'delta' })
  const places = new HeldPlaces(held)
  try {
    return await fill(prepared, around, { held, places })
  } finally {
    places.close()
    closeRoots(held)
  }
}

/** The directories, held open. */
interface HeldDirectories {
  readonly held: HeldRoots
  readonly places: HeldPlaces
}

async function fill(
  prepared: PreparedRestore,
  around: RestoreAround,
  { held, places }: HeldDirectories,
): Promise<WriteProgress> {
  const { directory } = prepared.layout
  const begin = (phase: RestorePhase): void => {
    around.signal?.throwIfAborted()
    around.onPhase?.(phase)
  }
  await mark(prepared, around, places)
  begin('clear')
  await clear(prepared, held)
  begin('write')
  const progress = await writeAll(prepared, around, { held, places })
  begin('settings')
  await writeSettings(prepared, around, places)
  if (around.copiesWal === true) {
    const { owner, signal } = around
    const walDirectory = places.directory(join(directory, 'pg_wal'))
    await copyWal(around.repository, prepared.plan, {
      directory: walDirectory,
      owner,
      signal,
      mode: 0o600 | (prepared.survey.directoryMode & 0o040),
    })
  }
  begin('sync')
  await syncFileSystems(directoriesOf(prepared))
  begin('name')
  const mode = prepared.survey.special.get(CONTROL_FILE_PATH)?.mode ?? 0o600
  await replaceFile(places.item(join(directory, CONTROL_FILE_PATH)), prepared.control.bytes, {
    mode,
    owner: around.owner,
  })
  begin('unmark')
  for (const path of reachedDirectories(prepared).reverse())
    await removeMarker(places.directory(path))
  return progress
}

function directoriesOf({ layout }: PreparedRestore): string[] {
  return [layout.directory, ...linkedPlaces(layout).map((place) => place.directory)]
}

/** The same as they are reached from the data directory. */
function reachedDirectories({ layout }: PreparedRestore): string[] {
  const links = linkedPlaces(layout).map(({ path }) => join(layout.directory, path))
  return [layout.directory, ...links]
}

async function makeDirectories(
  { layout, survey }: PreparedRestore,
  owner: Owner | undefined,
): Promise<void> {
  const mode = survey.directoryMode & 0o777
  await makeFor(layout.directory, mode, owner)
  for (const place of linkedPlaces(layout)) await makeLinked(place, mode, owner)
}

/** As root for another user: made by him where the way to it is in his hands. */
async function makeFor(directory: string, mode: number, owner: Owner | undefined): Promise<void> {
  const name = owner && (await new LocalUsers().byNumber(owner)).name
  const ownership = name === undefined ? { mode } : { mode, owner: name }
  await new LocalHost('this machine').makeDirectory(directory, ownership)
}

async function mark(
  prepared: PreparedRestore,
  around: RestoreAround,
  places: HeldPlaces,
): Promise<void> {
  const { plan, layout } = prepared
  const marker: RestoreMarker = {
    directory: layout.directory,
    cluster: plan.cluster,
    backup: plan.backup.id,
    systemIdentifier: plan.backup.postgres.systemIdentifier,
    startedAt: new Date(around.clock.now()).toISOString(),
    holder: thisProcess(),
  }
  for (const path of reachedDirectories(prepared)) await writeMarker(places.directory(path), marker)
}

/**
 * Where only the backup names the directory nothing is given away: it must be its owner's already.
 */
async function makeLinked(
  { directory, isNamed }: LinkedPlace,
  mode: number,
  owner: Owner | undefined,
): Promise<void> {
  if (isNamed || owner === undefined) return await makeFor(directory, mode, owner)
  const found = await lstatIfAny(directory)
  if (found?.isDirectory() === true && found.uid === owner.uid) return
  throw new BackstayError(
    'DIRECTORY_OWNER',
    `Cannot restore into tablespace directory "${directory}": it is not a directory of the OS user who is to own it`,
    { details: { directory } },
  )
}

/** Takes away what must not stay. pg_control goes first. */
async function clear(prepared: PreparedRestore, held: HeldRoots): Promise<void> {
  // Of their own: directories that go must not be found open later.
  const places = new HeldPlaces(held)
  try {
    await clearWith(prepared, places)
  } finally {
    places.close()
  }
}

async function clearWith(prepared: PreparedRestore, places: HeldPlaces): Promise<void> {
  const { layout, mode, paths, filledPlaces } = prepared
  const { directory } = layout
  if (mode !== 'fresh') await removeControlFile(places, directory)
  if (mode === 'redo') await emptyDirectory(places, directory)
  if (mode === 'delta' && paths !== undefined)
    return await removeForeign({ places, directory, paths })
  for (const place of linkedPlaces(layout)) {
    if (filledPlaces.includes(place.directory))
      await emptyDirectory(places, join(directory, place.path))
  }
}

async function writeAll(
  prepared: PreparedRestore,
  around: RestoreAround,
  held: HeldDirectories,
): Promise<WriteProgress> {
  const { plan, layout, survey, mode } = prepared
  const { store, identity } = around.repository
  await using manifest = await openManifest(around.repository, plan.backup)
  return await writeTree(manifest, {
    store: addressOf(store),
    cluster: identity.cluster,
    ...held,
    layout,
    major: plan.backup.postgres.major,
    directoryMode: survey.directoryMode,
    isDelta: mode === 'delta',
    workers: around.workers,
    signal: around.signal,
    onProgress: (progress) => around.onProgress?.(progress),
  })
}

/** Each worker opens it for itself. */
function addressOf({ address, location }: Store): StoreAddress {
  if (address !== undefined) return address
  throw new BackstayError('BUG', `Cannot restore from "${location}": no other thread can open it`)
}

/** Writes what the held-back files become: settings of recovery, and the map of the tablespaces. */
async function writeSettings(
  prepared: PreparedRestore,
  around: RestoreAround,
  places: HeldPlaces,
): Promise<void> {
  const { plan, layout, contents, survey, control } = prepared
  const { parameters: had } = control.values
  const demands = around.demands === undefined ? had : higherDemands(had, around.demands)
  const demanded = demandedSettings(demands, contents)
  const { autoConf, files } =
    around.configure === undefined
      ? recoveryFiles(plan, { ...around.recovery, demanded })
      : { autoConf: [], files: {} }
  const mode = survey.special.get('postgresql.auto.conf')?.mode ?? 0o600
  const write = (name: string, content: string): Promise<void> =>
    replaceFile(places.item(join(layout.directory, name)), content, { mode, owner: around.owner })
  await write(
    'postgresql.auto.conf',
    appendConfLines(withoutRestoreSettings(contents.get('postgresql.auto.conf') ?? ''), autoConf),
  )
  const standIns = around.standIns === true ? standInFiles(contents, demands) : {}
  for (const [name, content] of Object.entries({ ...files, ...standIns }))
    await write(name, content)
  const parameters = { ...had, ...demands }
  await around.configure?.(layout.directory, { ...control.values, parameters })
  if (!contents.has('tablespace_map')) return
  const links = layout.tablespaces.map(({ oid, directory }) => ({ oid, location: directory }))
  await write('tablespace_map', formatTablespaceMap(links, plan.backup.postgres.major))
}
