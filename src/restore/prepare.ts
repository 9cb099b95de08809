/**
 * Finds out whether a planned restore can be done into a directory, and changes nothing: what
 * stands there, whether it fits, and that the backup's manifest and the files the main thread needs
 * can be read.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { errnoOf, fileError } from '../host/file-error.ts'
import type { Host } from '../host/host.ts'
import { CONTROL_FILE_PATH, type ControlFile, parseControlFile } from '../postgres/control-file.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { openManifest } from '../repository/open-manifest.ts'
import { PackReader } from '../repository/pack-reader.ts'
import type { ContinuityMap } from '../wal/continuity.ts'
import { walFilesOf } from './path-files.ts'
import { warnAboutSettings } from './copied-settings.ts'
import { checkLinked, decideFill, type FillMode, lookAtDirectory } from './directory.ts'
import { layOut, linkedPlaces, type RestoreLayout, type TablespaceWish } from './layout.ts'
import { isHeldBack, type ManifestSurvey, surveyManifest } from './manifest-survey.ts'
import type { BackupPaths } from './old-content.ts'
import type { RestorePlan } from './plan.ts'
import { readContent } from './read-content.ts'
import { checkSpace, treeBytes } from './space.ts'
import { findUnsavedWal } from './unsaved-wal.ts'

/** Where a plan is to be carried out. */
export interface RestoreOrder {
  readonly plan: RestorePlan
  /** Absolute. */
  readonly directory: string
  /** Oid or old location of a tablespace → its new directory. */
  readonly tablespaces: ReadonlyMap<string, string>
  /** Where tablespaces may be written that nobody named (layout.ts). */
  readonly tablespaceRoots: TablespaceWish['roots']
  /** Where pg_wal is to be; undefined: in the data directory. Absolute. */
  readonly walDirectory?: string | undefined
  /** Keep what is right already in a directory that holds this cluster. */
  readonly isDelta: boolean
  /** With `isDelta`: WAL in the directory that is nowhere else may go. */
  readonly allowDataLoss: boolean
  /** The WAL that recovery needs is put into the directory, and has to have room there. */
  readonly copiesWal?: boolean
}

/** A restore that can be done. */
export interface PreparedRestore {
  readonly plan: RestorePlan
  readonly layout: RestoreLayout
  readonly mode: FillMode
  /**
   * Directories of tablespaces, or of the WAL, with something in them that goes, or is corrected.
   */
  readonly filledPlaces: readonly string[]
  readonly survey: ManifestSurvey
  readonly control: { readonly bytes: Buffer; readonly values: ControlFile }
  /** Content of the configuration files that are in the backup, by path. */
  readonly contents: ReadonlyMap<string, string>
  /** Only with delta. */
  readonly paths: BackupPaths | undefined
  /** Besides the plan's. */
  readonly warnings: readonly string[]
}

/** What preparing looks at. */
export interface PrepareAround {
  readonly repository: ClusterRepository
  /** This machine. */
  readonly host: Host
  readonly map: ContinuityMap
}

/**
 * Prepares a restore. The caller holds the shared lock of the backup.
 * @throws {BackstayError} USAGE, SERVER_RUNNING, REPOSITORY_LOCKED, DIRECTORY_FOREIGN,
 * POSTGRES_IDENTITY, DATA_LOSS, DISK_SPACE, REPOSITORY_DAMAGED.
 */
export async function prepareRestore(
  order: RestoreOrder,
  around: PrepareAround,
): Promise<PreparedRestore> {
  try {
    return await prepare(order, around)
  } catch (error) {
    // The owner of the directories can exchange what is in them, for a link to itself too.
    if (errnoOf(error) === undefined) throw error
    throw fileError('this machine', `restore into "${order.directory}"`, error)
  }
}

async function prepare(order: RestoreOrder, around: PrepareAround): Promise<PreparedRestore> {
  const { plan, isDelta } = order
  const { backup } = plan
  const { systemIdentifier } = backup.postgres
  const layout = layOut(order.directory, backup.tablespaces, {
    mapping: order.tablespaces,
    roots: order.tablespaceRoots,
    walDirectory: order.walDirectory,
  })
  checkOutside(layout, around.repository)
  const found = await lookAtDirectory(around.host, layout.directory)
  const mode = decideFill(layout.directory, found, { isDelta, systemIdentifier })
  const filledPlaces = await checkLinked(around.host, layout, mode)
  if (mode === 'delta' && !order.allowDataLoss) await checkUnsavedWal(layout.directory, around.map)
  const read = await readBackup(order, layout, around.repository)
  const walBytes = order.copiesWal === true ? walBytesOf(plan, around.repository) : 0
  await checkRoom(around.host, layout, { survey: read.survey, walBytes })
  const warnings = warnAboutSettings(read.contents, layout.directory)
  return { plan, layout, mode, filledPlaces, ...read, warnings }
}

/** A restore into the repository would be found by nobody and swept by the next backup. */
function checkOutside(layout: RestoreLayout, repository: ClusterRepository): void {
  const { location } = repository.store
  const places = [layout.directory, ...linkedPlaces(layout).map((place) => place.directory)]
  const inside = places.find((place) => `${place}/`.startsWith(`${location}/`))
  if (inside === undefined) return
  throw new BackstayError(
    'USAGE',
    `Cannot restore into "${inside}": it lies in the repository "${location}"`,
  )
}

async function checkUnsavedWal(directory: string, map: ContinuityMap): Promise<void> {
  const unsaved = await findUnsavedWal(directory, map)
  const [first] = unsaved
  const last = unsaved.at(-1)
  if (first === undefined || last === undefined) return
  const names = first === last ? `"${first}"` : `"${first}" to "${last}"`
  throw new BackstayError(
    'DATA_LOSS',
    `Cannot restore into "${directory}": its pg_wal holds WAL that is not in the repository, in ${names}`,
    {
      hint: 'Copy pg_wal away, or put the segments into the repository with `backstay wal push`; --allow-data-loss gives them up.',
      details: { segments: unsaved },
    },
  )
}

type ReadBackup = Pick<PreparedRestore, 'survey' | 'control' | 'contents' | 'paths'>

async function readBackup(
  order: RestoreOrder,
  layout: RestoreLayout,
  repository: ClusterRepository,
): Promise<ReadBackup> {
  const { backup } = order.plan
  const { store, names } = repository
  await using manifest = await openManifest(repository, backup)
  const [files, directories] = [new Set<string>(), new Set<string>()]
  const survey = await surveyManifest(manifest, backup.postgres.major, (entry) => {
    if (!order.isDelta || isHeldBack(entry.path)) return
    if (entry.kind === 'file') files.add(entry.path)
    if (entry.kind === 'directory') directories.add(entry.path)
  })
  await using packs = new PackReader(store, names)
  const contents = new Map<string, string>()
  for (const [path, file] of survey.special) {
    if (path !== CONTROL_FILE_PATH) contents.set(path, (await readContent(packs, file)).toString())
  }
  const control = await readControl(packs, survey, order.plan)
  const links = new Map(layout.tablespaces.map((p) => [`pg_tblspc/${p.oid}`, p.directory]))
  return {
    survey,
    control,
    contents,
    paths: order.isDelta ? { files, directories, links } : undefined,
  }
}

async function readControl(
  packs: PackReader,
  survey: ManifestSurvey,
  plan: RestorePlan,
): Promise<PreparedRestore['control']> {
  const { id, postgres } = plan.backup
  const file = survey.special.get(CONTROL_FILE_PATH)
  const bytes = file === undefined ? Buffer.alloc(0) : await readContent(packs, file)
  const values = parseControlFile(bytes)
  if (values.systemIdentifier === postgres.systemIdentifier) return { bytes, values }
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot restore backup ${id}: its pg_control has system identifier ${values.systemIdentifier}, its backup.json ${postgres.systemIdentifier}`,
  )
}

function walBytesOf(plan: RestorePlan, { identity }: ClusterRepository): number {
  return walFilesOf(plan, identity.segmentBytes).length * identity.segmentBytes
}

async function checkRoom(
  host: Host,
  layout: RestoreLayout,
  { survey, walBytes }: { readonly survey: ManifestSurvey; readonly walBytes: number },
): Promise<void> {
  const places = [
    { link: '', directory: layout.directory },
    ...linkedPlaces(layout).map(({ path, directory }) => ({ link: path, directory })),
  ]
  const walLink = places.some(({ link }) => link === 'pg_wal') ? 'pg_wal' : ''
  const needs = []
  for (const { link, directory } of places) {
    const bytes = (survey.bytesBelow.get(link) ?? 0) + (link === walLink ? walBytes : 0)
    needs.push({ directory, bytes, reusedBytes: await treeBytes(directory) })
  }
  await checkSpace(host, needs)
}
