/**
 * Names of incremental files: what a server sends of a relation's file when only some of its blocks
 * changed (17+). Source: PostgreSQL src/backend/backup/basebackup_incremental.c
 * (GetIncrementalFilePath).
 */
const FOLDER = String.raw`(?:global|base/\d+|pg_tblspc/\d+/PG_[^/]+/\d+)`
const INCREMENTAL = new RegExp(`^(${FOLDER}/)INCREMENTAL\\.(\\d+[^/]*)$`)

/** The path of the relation file that an incremental file stands for; undefined when it is none. */
export function parseIncrementalPath(path: string): string | undefined {
  const match = INCREMENTAL.exec(path)
  return match === null ? undefined : `${match[1]}${match[2]}`
}
