/**
 * Which files of a data directory are relations, told by their paths.
 * Source: PostgreSQL src/common/relpath.c; src/backend/storage/file/reinit.c.
 */

/** Blocks of one segment file unless PostgreSQL was built otherwise (RELSEG_SIZE). */
export const SEGMENT_BLOCKS = 131_072

const FOLDER = String.raw`(?:global|base/\d+|pg_tblspc/\d+/PG_[^/]+/\d+)`
const RELATION = new RegExp(`^${FOLDER}/(\\d+)(?:_(fsm|vm|init))?(?:\\.(\\d+))?$`)
const INCREMENTAL = new RegExp(`^(${FOLDER}/)INCREMENTAL\\.(\\d+[^/]*)$`)

/** One file of a relation. Its content is pages. */
export interface RelationFile {
  readonly fork: 'main' | 'fsm' | 'vm' | 'init'
  /** Number of its first block, counted through all segment files of the fork. */
  readonly firstBlock: number
}

/** What relation file `path` (relative to the data directory) is; undefined for everything else. */
export function parseRelationPath(path: string): RelationFile | undefined {
  const match = RELATION.exec(path)
  if (match === null) return undefined
  return {
    fork: (match[2] ?? 'main') as RelationFile['fork'],
    firstBlock: Number(match[3] ?? 0) * SEGMENT_BLOCKS,
  }
}

/** The path of the relation file that an incremental file stands for; undefined when it is none. */
export function parseIncrementalPath(path: string): string | undefined {
  const match = INCREMENTAL.exec(path)
  return match === null ? undefined : `${match[1]}${match[2]}`
}
