/**
 * To where relations were cut since the reference. The head of an incremental file does not say:
 * its truncation length is the present length of the file where that is more
 * (basebackup_incremental.c, GetFileBackupMethod). Blocks from the cut on that the server does not
 * send are zeros, because a relation grows by pages of zeros that are not in WAL; the reference has
 * what was there before the cut. PostgreSQL's WAL summaries know the cut, and can be read by SQL.
 *
 * Nor does the server send all that was written behind a cut: it reads its summaries in the order
 * in which the file system lists them, and forgets at a cut what it has read of later ones
 * (basebackup_incremental.c, PrepareForIncrementalBackup; blkreftable.c,
 * BlockRefTableEntrySetLimitBlock). So the blocks that have to be there are asked for, too.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import {
  parseRelationPath,
  RELATION_SEGMENT_BLOCKS,
  type RelationFile,
} from '../../postgres/relation-path.ts'
import type { SqlClient } from '../../wire/sql-client.ts'

/** What the summaries have to cover. */
export interface SummarizedRange {
  readonly timeline: number
  readonly startLsn: Lsn
  readonly endLsn: Lsn
}

/** How a relation's main fork was cut or made anew. Blocks are numbered in the fork. */
export interface RelationLimit {
  /** The first that is gone. */
  readonly block: number
  /**
   * Behind it, in the same file: what was written since the last cut that took it. Of the files
   * behind, the server sends all.
   */
  readonly writtenBlocks: readonly number[]
}

/** Undefined for a relation that was not cut. By the path of any of its files. */
export type LimitOf = (path: string) => RelationLimit | undefined

const DEFAULT_TABLESPACE = 1663
const GLOBAL_TABLESPACE = 1664

const SUMMARIES_QUERY = `
SELECT start_lsn AS "startLsn", end_lsn AS "endLsn" FROM pg_available_wal_summaries()
 WHERE tli = $1 AND end_lsn > $2::pg_lsn AND start_lsn < $3::pg_lsn ORDER BY start_lsn`

/**
 * Of the very summaries that were found to cover the range: one that has gone since is an error.
 * Only the main fork's: for the others the server's summaries take the main fork's block number
 * too.
 */
const LIMITS_QUERY = `
SELECT s.start_lsn AS "startLsn", c.reltablespace::int8 AS tablespace, c.reldatabase::int8 AS database,
       c.relfilenode::int8 AS node, c.relblocknumber::int8 AS block
  FROM unnest($2::pg_lsn[], $3::pg_lsn[]) AS s (start_lsn, end_lsn),
       LATERAL pg_wal_summary_contents($1::int8, s.start_lsn, s.end_lsn) AS c
 WHERE c.is_limit_block AND c.relforknumber = 0`

/**
 * Of relations of which a file was cut and not made anew, what was written in that file behind the
 * cut.
 */
const WRITTEN_QUERY = `
SELECT s.start_lsn AS "startLsn", c.reltablespace::int8 AS tablespace, c.reldatabase::int8 AS database,
       c.relfilenode::int8 AS node, c.relblocknumber::int8 AS block
  FROM unnest($2::pg_lsn[], $3::pg_lsn[]) AS s (start_lsn, end_lsn),
       LATERAL pg_wal_summary_contents($1::int8, s.start_lsn, s.end_lsn) AS c
  JOIN unnest($4::int8[], $5::int8[], $6::int8[], $7::int8[]) AS r (tablespace, database, node, block)
    ON c.reltablespace = r.tablespace AND c.reldatabase = r.database AND c.relfilenode = r.node
 WHERE NOT c.is_limit_block AND c.relforknumber = 0
   AND c.relblocknumber >= r.block AND c.relblocknumber / ${RELATION_SEGMENT_BLOCKS} = r.block / ${RELATION_SEGMENT_BLOCKS}`

/**
 * Asks a server of 17 or later. Its summaries have to reach to `endLsn` by now, which they do once
 * it has begun an incremental backup from there.
 * @throws {BackstayError} POSTGRES_PROTOCOL when they do not cover the range; what SQL throws.
 */
export async function readRelationLimits(sql: SqlClient, range: SummarizedRange): Promise<LimitOf> {
  const { timeline, startLsn, endLsn } = range
  const ends = [formatLsn(startLsn), formatLsn(endLsn)]
  const summaries = await sql.query<Summary>(SUMMARIES_QUERY, [timeline, ...ends])
  requireCover(range, summaries)
  const read = [
    timeline,
    summaries.map((summary) => formatLsn(summary.startLsn)),
    summaries.map((summary) => formatLsn(summary.endLsn)),
  ]
  const cuts = Map.groupBy(await sql.query<BlockRow>(LIMITS_QUERY, read), keyOfRow)
  const written = Map.groupBy(await readWritten(sql, read, cuts), keyOfRow)
  const limits = new Map(
    [...cuts].map(([key, own]) => [key, limitFrom(own, written.get(key) ?? [])]),
  )
  return (path) => {
    const file = parseRelationPath(path)
    return file && limits.get(keyOfFile(file))
  }
}

/** A block of a relation's main fork that a summary names. */
interface BlockRow {
  /** Of the summary. */
  readonly startLsn: Lsn
  readonly tablespace: number
  readonly database: number
  readonly node: number
  readonly block: number
}

/**
 * What was written behind cuts. Nothing of a relation whose last cut left nothing of a file: the
 * server sends that one whole.
 */
async function readWritten(
  sql: SqlClient,
  read: readonly unknown[],
  cuts: ReadonlyMap<string, readonly BlockRow[]>,
): Promise<BlockRow[]> {
  const lowest = [...cuts.values()]
    .map((rows) => rows.reduce((low, row) => (row.block < low.block ? row : low)))
    .filter(({ block }) => block % RELATION_SEGMENT_BLOCKS !== 0)
  if (lowest.length === 0) return []
  return await sql.query<BlockRow>(WRITTEN_QUERY, [
    ...read,
    lowest.map(({ tablespace }) => tablespace),
    lowest.map(({ database }) => database),
    lowest.map(({ node }) => node),
    lowest.map(({ block }) => block),
  ])
}

/** Within a summary all blocks behind a cut are from after it. */
function limitFrom(cuts: readonly BlockRow[], written: readonly BlockRow[]): RelationLimit {
  const isCutLater = (row: BlockRow): boolean =>
    cuts.some(({ startLsn, block }) => startLsn > row.startLsn && block <= row.block)
  const kept = written.filter((row) => !isCutLater(row)).map(({ block }) => block)
  return {
    block: cuts.reduce((low, { block }) => Math.min(low, block), Infinity),
    writtenBlocks: [...new Set(kept)],
  }
}

interface Summary {
  readonly startLsn: Lsn
  readonly endLsn: Lsn
}

function requireCover(
  { timeline, startLsn, endLsn }: SummarizedRange,
  summaries: readonly Summary[],
): void {
  let covered = startLsn
  for (const summary of summaries) {
    if (summary.startLsn > covered) break
    if (summary.endLsn > covered) covered = summary.endLsn
  }
  if (covered >= endLsn) return
  throw new BackstayError(
    'POSTGRES_PROTOCOL',
    `Cannot tell which relations were cut: the server's WAL summaries of timeline ${timeline} end at ${formatLsn(covered)}, before ${formatLsn(endLsn)}`,
  )
}

function keyOfRow({ tablespace, database, node }: BlockRow): string {
  return keyOf(tablespace, database, node)
}

function keyOf(tablespace: number, database: number, node: number): string {
  return `${tablespace}/${database}/${node}`
}

function keyOfFile({ tablespaceOid, databaseOid, fileNumber }: RelationFile): string {
  const own = databaseOid === undefined ? GLOBAL_TABLESPACE : DEFAULT_TABLESPACE
  return keyOf(tablespaceOid ?? own, databaseOid ?? 0, fileNumber)
}
