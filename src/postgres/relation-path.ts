/**
 * What a path in a data directory is: a relation's file and which blocks it holds, or a file no
 * backup takes. Paths are relative to the data directory, with `/`; those inside a tablespace's own
 * archive (`PG_15_202209061/5/16384`) are understood too. Source: PostgreSQL documentation,
 * "Database File Layout", "Backing Up the Data Directory"; src/common/relpath.c,
 * src/backend/backup/basebackup.c (excludeDirContents, excludeFiles).
 */

const RELATION_FORKS = ['main', 'fsm', 'vm', 'init'] as const

/**
 * `main` holds the rows, `init` the empty state of an unlogged relation, `fsm` and `vm` its maps.
 */
export type RelationFork = (typeof RELATION_FORKS)[number]

/** A file of a relation. */
export interface RelationFile {
  /** Path without fork and segment: the same for all files of one relation. */
  readonly relation: string
  /** The relation's file number (relfilenode): not always its oid. */
  readonly fileNumber: number
  readonly fork: RelationFork
  /** Counts the files of a fork; each but the last holds `relationSegmentBlocks` blocks. */
  readonly segment: number
  /** Undefined for shared relations (`global/`). */
  readonly databaseOid: number | undefined
  /** Undefined in the data directory itself, and where the path is relative to a tablespace. */
  readonly tablespaceOid: number | undefined
}

/** Blocks of 8 kB in one file of a relation (1 GB) unless PostgreSQL was built otherwise. */
export const RELATION_SEGMENT_BLOCKS = 131_072

const DIRECTORY = String.raw`(?:global|base/(?<base>\d+)|(?:pg_tblspc/(?<space>\d+)/)?PG_\d+_\d+/(?<database>\d+))`
const RELATION = new RegExp(
  String.raw`^(?<relation>${DIRECTORY}/(?<number>\d+))(?:_(?<fork>fsm|vm|init))?(?:\.(?<segment>\d+))?$`,
)
const TEMPORARY_RELATION = new RegExp(String.raw`^${DIRECTORY}/t\d+_\d+(?:_(?:fsm|vm))?(?:\.\d+)?$`)

/** Directories that a backup keeps empty. */
const EMPTIED_DIRECTORIES = [
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_wal',
]

/** Subdirectories of pg_wal that stay, empty. */
const KEPT_WAL_DIRECTORIES = ['pg_wal/archive_status', 'pg_wal/summaries']

const EXCLUDED_FILES = [
  'backup_label',
  'backup_label.old',
  'backup_manifest',
  'current_logfiles.tmp',
  'postgresql.auto.conf.tmp',
  'postmaster.opts',
  'postmaster.pid',
  'tablespace_map',
  'tablespace_map.old',
]

/**
 * Reads a relation's file from its path; undefined for everything else, temporary relations
 * included.
 */
export function parseRelationPath(path: string): RelationFile | undefined {
  const groups = RELATION.exec(path)?.groups
  if (groups === undefined) return undefined
  return {
    relation: groups['relation'] ?? '',
    fileNumber: Number(groups['number']),
    fork: (groups['fork'] ?? 'main') as RelationFork,
    segment: Number(groups['segment'] ?? 0),
    databaseOid: numberOf(groups['base'] ?? groups['database']),
    tablespaceOid: numberOf(groups['space']),
  }
}

/** Number, in its fork, of the first block in a file. The page checksum depends on it. */
export function firstBlockOf(
  file: RelationFile,
  relationSegmentBlocks = RELATION_SEGMENT_BLOCKS,
): number {
  return file.segment * relationSegmentBlocks
}

/** The same for a path; undefined when it is no relation's file. */
export function firstBlockOfPath(path: string): number | undefined {
  const file = parseRelationPath(path)
  return file && firstBlockOf(file)
}

/**
 * Whether a backup leaves the path out: what a server makes anew at start, what would do harm in a
 * copy, and WAL, which comes its own way. The emptied directories themselves stay. Unlogged
 * relations are `isUnloggedContent`.
 */
export function isExcludedFromBackup(path: string): boolean {
  const parts = path.split('/')
  if (parts.some((part) => part.startsWith('pgsql_tmp'))) return true
  if (parts[parts.length - 1]?.startsWith('pg_internal.init')) return true
  if (EXCLUDED_FILES.includes(path) || TEMPORARY_RELATION.test(path)) return true
  const isInside = parts.length > 1 && EMPTIED_DIRECTORIES.includes(parts[0] ?? '')
  return isInside && !KEPT_WAL_DIRECTORIES.includes(path)
}

/**
 * Whether the file holds content of an unlogged relation, which recovery throws away.
 * @param unlogged the `relation` of every init fork in the data directory.
 */
export function isUnloggedContent(file: RelationFile, unlogged: ReadonlySet<string>): boolean {
  return file.fork !== 'init' && unlogged.has(file.relation)
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}
