/**
 * The table of the canary. Whoever may create a schema in the database can have made one of that
 * name first, and what hangs on it would run as superuser: nothing is written or read before the
 * table was found to be ours, under a lock that keeps it so.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { SqlClient } from '../wire/sql-client.ts'
import { SCHEMA_NAME } from '../cluster/names.ts'

/** Where the rows are; old ones are removed by later canaries. */
export const CANARY_TABLE = `${SCHEMA_NAME}.canary`

const COLUMNS = 'token uuid, written_at timestamp with time zone'

/**
 * Catalogues only: none of this runs what others made. Index expressions, defaults and children's
 * triggers run with a write.
 */
const FAULT_QUERY = `
SELECT CASE
  WHEN NOT schema_owner.rolsuper
    THEN format('its schema belongs to role "%s", which is no superuser', schema_owner.rolname)
  WHEN NOT table_owner.rolsuper
    THEN format('it belongs to role "%s", which is no superuser', table_owner.rolname)
  WHEN c.relkind <> 'r' OR c.relpersistence <> 'p' OR c.relispartition THEN 'it is no plain table'
  WHEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid) THEN 'it has a trigger'
  WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid) THEN 'it has a rule'
  WHEN c.relrowsecurity OR EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid) THEN 'it has a policy'
  WHEN EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent)) THEN 'it inherits or is inherited from'
  WHEN EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND (indexprs IS NOT NULL OR indpred IS NOT NULL))
    THEN 'it has an index with an expression'
  WHEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND contype NOT IN ('p', 'n'))
    THEN 'it has a constraint'
  WHEN EXISTS (SELECT FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
                WHERE d.adrelid = c.oid
                  AND (a.attname <> 'written_at' OR pg_get_expr(d.adbin, d.adrelid) <> 'now()'))
    THEN 'it has a default'
  WHEN (SELECT string_agg(format('%s %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
          FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
       IS DISTINCT FROM '${COLUMNS}'
    THEN 'it has other columns'
  END AS fault
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_roles schema_owner ON schema_owner.oid = n.nspowner
       JOIN pg_roles table_owner ON table_owner.oid = c.relowner
 WHERE n.nspname = '${SCHEMA_NAME}' AND c.relname = 'canary'`

const MAKE_TABLE = `
CREATE SCHEMA IF NOT EXISTS ${SCHEMA_NAME};
CREATE TABLE IF NOT EXISTS ${CANARY_TABLE} (token uuid PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT now())`

const WRITE_TOKEN = `
WITH old AS (DELETE FROM ${CANARY_TABLE} WHERE written_at < now() - interval '1 day')
INSERT INTO ${CANARY_TABLE} (token, written_at) VALUES ($1, now())`

/**
 * Writes the token on a primary. A superuser's table nobody else can change; the lock is against
 * the owner it had a moment ago, and the strongest that is not replayed on standbys, where it would
 * wait for readers (a pg_dump).
 * @throws NOT_READY when the table is not ours.
 */
export async function writeToken(sql: SqlClient, token: string): Promise<void> {
  await sql.query(`BEGIN; ${MAKE_TABLE}`)
  // Before the lock, so that the owner of a foreign one cannot make us wait.
  await refuseForeign(sql)
  await sql.query(`LOCK TABLE ${CANARY_TABLE} IN SHARE ROW EXCLUSIVE MODE`)
  await refuseForeign(sql)
  await sql.query(WRITE_TOKEN, [token])
  await sql.query('COMMIT')
}

/**
 * Looks for the token on a standby, which may be at a time at which another table, or a view, had
 * the name. False also while there is none: the very first canary's is itself still on its way.
 * @throws NOT_READY when the table is not ours.
 */
export async function hasToken(sql: SqlClient, token: string): Promise<boolean> {
  const { exists } = await sql.one<{ exists: boolean }>(
    `SELECT to_regclass('${CANARY_TABLE}') IS NOT NULL AS exists`,
  )
  if (!exists) return false
  await sql.query('BEGIN')
  try {
    await sql.query(`LOCK TABLE ${CANARY_TABLE} IN ACCESS SHARE MODE`)
    await refuseForeign(sql)
    const rows = await sql.query(`SELECT FROM ${CANARY_TABLE} WHERE token = $1`, [token])
    return rows.length > 0
  } finally {
    await sql.query('ROLLBACK')
  }
}

/** @throws NOT_READY */
async function refuseForeign(sql: SqlClient): Promise<void> {
  const rows = await sql.query<{ fault: string | null }>(FAULT_QUERY)
  const fault = rows.length === 1 ? rows[0]?.fault : 'it is gone'
  if (fault === null) return
  throw new BackstayError(
    'NOT_READY',
    `Cannot use table ${CANARY_TABLE} of database "postgres": ${fault}. What hangs on it would run as superuser`,
    {
      hint: `See who made it and what for, then remove it as superuser: DROP SCHEMA ${SCHEMA_NAME} CASCADE. The next backstay verify makes its own.`,
    },
  )
}
