/**
 * A first walk through a manifest before anything is written: its checksum, its paths, what goes
 * where, how much.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { CONTROL_FILE_PATH } from '../postgres/control-file.ts'
import { isTablespaceContent } from '../postgres/tablespace-place.ts'
import type {
  ManifestEntry,
  ManifestFile,
  ManifestLink,
  ManifestTotals,
} from '../repository/manifest-entry.ts'
import type { ManifestReader } from '../repository/manifest-reader.ts'
import { COPY_NOTE_NAME, MARKER_NAME } from './marker.ts'

/** pg_control comes last, the rest is made anew for the recovery wanted. */
const MADE_HERE = [
  CONTROL_FILE_PATH,
  'recovery.conf',
  'recovery.done',
  'recovery.signal',
  'standby.signal',
  'postgresql.auto.conf',
  'tablespace_map',
]

/** What is obeyed where it is found: in a backup it is the origin's word. */
const NOTES = [MARKER_NAME, COPY_NOTE_NAME]
const HELD_BACK = [...MADE_HERE, ...NOTES]

/** Small files whose content the main thread needs. */
const READ_HERE: ReadonlySet<string> = new Set([
  ...MADE_HERE,
  'postgresql.conf',
  'pg_hba.conf',
  'pg_ident.conf',
])

/** More tablespaces than a cluster has; what is learned of each stays in memory. */
const TABLESPACES_MAX = 10_000
/** Of a file that is read whole: of 16 MiB in pages each apart. */
const EXTENTS_READ_MAX = 4096

/** What the walk learned. */
export interface ManifestSurvey {
  readonly totals: ManifestTotals
  /** Of tablespaces; `pg_tblspc/<oid>`. */
  readonly links: readonly ManifestLink[]
  /** Sum of file sizes below each link's path; the rest is below ''. */
  readonly bytesBelow: ReadonlyMap<string, number>
  /** The files that are made anew and the configuration files, by path. */
  readonly special: ReadonlyMap<string, ManifestFile>
  /** Mode of the data directory, as its directories have it. */
  readonly directoryMode: number
}

/**
 * Walks through the manifest once. `visit` sees every entry.
 * @throws {BackstayError} REPOSITORY_DAMAGED
 */
export async function surveyManifest(
  manifest: ManifestReader,
  major: number,
  visit: (entry: ManifestEntry) => void = () => {},
): Promise<ManifestSurvey> {
  const links: ManifestLink[] = []
  const special = new Map<string, ManifestFile>()
  const bytesBelow = new Map<string, number>()
  let directoryMode = 0o700
  for await (const entry of manifest.entries()) {
    checkPath(entry, major)
    visit(entry)
    if (entry.kind === 'link') links.push(entry)
    if (links.length > TABLESPACES_MAX || bytesBelow.size > TABLESPACES_MAX) throw tooMany()
    // Group access is a property of the whole cluster: every directory of it has the same mode.
    if (entry.kind === 'directory' && entry.path === 'global') directoryMode = entry.mode
    if (entry.kind !== 'file') continue
    if (READ_HERE.has(entry.path)) special.set(entry.path, checkSmall(entry))
    const root = tablespaceOf(entry.path)
    bytesBelow.set(root, (bytesBelow.get(root) ?? 0) + entry.sizeBytes)
  }
  const { totals } = manifest
  if (totals === undefined) throw new BackstayError('BUG', 'The manifest has no totals')
  return { totals, links, bytesBelow, special, directoryMode }
}

function tooMany(): BackstayError {
  return new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read the manifest: it has more than ${TABLESPACES_MAX} tablespaces`,
  )
}

/** What is known of where its pieces lie is kept until the end. */
function checkSmall(file: ManifestFile): ManifestFile {
  if (file.extents.length <= EXTENTS_READ_MAX) return file
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read "${file.path}" of the backup: it lies in ${file.extents.length} pieces`,
  )
}

/** `pg_tblspc/<oid>` for a path below it, '' for all others. */
function tablespaceOf(path: string): string {
  return /^pg_tblspc\/\d+(?=\/)/.exec(path)?.[0] ?? ''
}

/**
 * Whether a path is not written with the others. A directory of such a name, with all below it,
 * would only be in the way.
 */
export function isHeldBack(path: string): boolean {
  return HELD_BACK.some((name) => path === name || path.startsWith(`${name}/`))
}

/**
 * Refuses what does not belong into a tablespace. Whoever walks through a manifest to write checks
 * it: it may be another one by then.
 * @throws {BackstayError} REPOSITORY_DAMAGED
 */
export function checkPath(
  { path, kind }: Pick<ManifestEntry, 'path' | 'kind'>,
  major: number,
): void {
  const [, inTablespace] = /^pg_tblspc\/\d+\/(.*)$/s.exec(path) ?? []
  if (inTablespace === undefined || isTablespaceContent(inTablespace, major)) return
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot restore "${path}": a ${kind} of that name does not belong into a tablespace`,
  )
}
