/**
 * To where relations were cut since the reference. The head of an incremental file does not say: its truncation length is the present length
 * of the file where that is more (basebackup_incremental.c, GetFileBackupMethod). Blocks from the cut on that the server does not send
 * are zeros, because a relation grows by pages of zeros that are not in WAL; the reference has what was there before the cut. PostgreSQL's WAL
 * summaries know the cut, and can be read by SQL.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import { parseRelationPath, type RelationFile } from '../../postgres/relation-path.ts'
import type { SqlClient } from '../../wire/sql-client.ts'

/** What the summaries have to cover. */
export interface SummarizedRange {
  readonly timeline: number
  readonly startLsn: Lsn
  readonly endLsn: Lsn
}

/** The block, numbered in its fork, from which a relation's main fork was cut or made anew; undefined when it was not. By the path of any of its files. */
export type LimitOf = (path: string) => number | undefined

const DEFAULT_TABLESPACE = 1663
const GLOBAL_TABLESPACE = 1664

const SUMMARIES_QUERY = `
SELECT start_lsn AS "startLsn", end_lsn AS "endLsn" FROM pg_available_wal_summaries()
 WHERE tli = $1 AND end_lsn > $2::pg_lsn AND start_lsn < $3::pg_lsn ORDER BY start_lsn`

/**
 * Of the very summaries that were found to cover the range: one that has gone since is an error. Only the main fork's: for the others the
 * server's summaries take the main fork's block number too.
 */
const LIMITS_QUERY = `
SELECT c.reltablespace::int8 AS tablespace, c.reldatabase::int8 AS database, c.relfilenode::int8 AS node,
       min(c.relblocknumber)::int8 AS block
  FROM unnest($2::pg_lsn[], $3::pg_lsn[]) AS s (start_lsn, end_lsn),
       LATERAL pg_wal_summary_contents($1::int8, s.start_lsn, s.end_lsn) AS c
 WHERE c.is_limit_block AND c.relforknumber = 0
 GROUP BY 1, 2, 3`

/**
 * Asks a server of 17 or later. Its summaries have to reach to `endLsn` by now, which they do once it has begun an incremental backup from there.
 * @throws {BackstayError} POSTGRES_PROTOCOL when they do not cover the range; what SQL throws.
 */
export async function readRelationLimits(sql: SqlClient, range: SummarizedRange): Promise<LimitOf> {
  const { timeline, startLsn, endLsn } = range
  const ends = [formatLsn(startLsn), formatLsn(endLsn)]
  const summaries = await sql.query<Summary>(SUMMARIES_QUERY, [timeline, ...ends])
  requireCover(range, summaries)
  const rows = await sql.query<LimitRow>(LIMITS_QUERY, [
    timeline,
    summaries.map((summary) => formatLsn(summary.startLsn)),
    summaries.map((summary) => formatLsn(summary.endLsn)),
  ])
  const limits = new Map(
    rows.map(({ tablespace, database, node, block }) => [keyOf(tablespace, database, node), block]),
  )
  return (path) => {
    const file = parseRelationPath(path)
    return file && limits.get(keyOfFile(file))
  }
}

interface LimitRow {
  readonly tablespace: number
  readonly database: number
  readonly node: number
  readonly block: number
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

function keyOf(tablespace: number, database: number, node: number): string {
  return `${tablespace}/${database}/${node}`
}

function keyOfFile({ tablespaceOid, databaseOid, fileNumber }: RelationFile): string {
  const own = databaseOid === undefined ? GLOBAL_TABLESPACE : DEFAULT_TABLESPACE
  return keyOf(tablespaceOid ?? own, databaseOid ?? 0, fileNumber)
}
