/**
 * Files of a data directory that are held in memory as a whole while a backup streams by: how long
 * they may be. Whoever sends them says their size, and only PostgreSQL keeps to its own.
 */

const KIB = 1024

/** pg_control has 8 kB, a label a dozen lines, the map a line for each tablespace. */
const LIMITS: ReadonlyMap<string, number> = new Map([
  ['global/pg_control', 64 * KIB],
  ['backup_label', 64 * KIB],
  ['PG_VERSION', KIB],
  ['tablespace_map', 16 * KIB * KIB],
])

/** Whether such a file is longer than PostgreSQL makes it; false for every other file. */
export function isTooLong(file: { readonly path: string; readonly sizeBytes: number }): boolean {
  const limit = LIMITS.get(file.path.replace(/^(?:\.\/)+/, ''))
  return limit !== undefined && file.sizeBytes > limit
}
