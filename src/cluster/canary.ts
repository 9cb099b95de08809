/**
 * A row with a token nobody has seen before, written on the primary and looked for on the standbys.
 */
import type { BackstayError } from '../errors/backstay-error.ts'
import { until } from '../util/until.ts'
import type { SqlClient } from '../wire/sql-client.ts'
import { type ClusterContext, factOf } from './context.ts'
import { openAdminSql } from './look/connect.ts'
import { SCHEMA_NAME } from './names.ts'
import { wantedServer } from './plan/plan.ts'

/** Where the rows are; old ones are removed by later canaries. */
export const CANARY_TABLE = `${SCHEMA_NAME}.canary`

const POLL_MS = 2

const CREATE_TABLE = `
CREATE SCHEMA IF NOT EXISTS ${SCHEMA_NAME};
CREATE TABLE IF NOT EXISTS ${CANARY_TABLE} (token uuid PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT now())`

const WRITE_TOKEN = `
WITH old AS (DELETE FROM ${CANARY_TABLE} WHERE written_at < now() - interval '1 day')
INSERT INTO ${CANARY_TABLE} (token) VALUES ($1)`

/** What is sent. */
export interface Canary {
  readonly primary: string
  readonly standbys: readonly string[]
  readonly token: string
  readonly timeoutMs: number
}

/** How a canary fared on one standby. */
export interface Sighting {
  readonly delayMs: number | undefined
  readonly reason: string | undefined
}

/** Writes the row, then watches every standby at once until it is there or `timeoutMs` passed. Name of the standby → how it fared. */
export async function sendCanary(
  context: ClusterContext,
  canary: Canary,
): Promise<ReadonlyMap<string, Sighting>> {
  const { primary, standbys, token, timeoutMs } = canary
  // Connected before the row is written, so that the delay measured is replication's alone.
  const readers = await Promise.all(standbys.map(async (standby) => openReader(context, standby)))
  try {
    await using sql = await openAdminSql(context, wantedServer(context.wanted, primary))
    await sql.query(CREATE_TABLE)
    await sql.query(WRITE_TOKEN, [token])
    const writtenAtMs = context.clock.monotonic()
    const sightings = readers.map(async ({ name, reader }): Promise<[string, Sighting]> => {
      if (!('query' in reader)) return [name, { delayMs: undefined, reason: reader.message }]
      return [name, await watch(context, reader, { token, timeoutMs, writtenAtMs })]
    })
    return new Map(await Promise.all(sightings))
  } finally {
    for (const { reader } of readers) {
      if ('query' in reader) await reader[Symbol.asyncDispose]()
    }
  }
}

async function openReader(
  context: ClusterContext,
  name: string,
): Promise<{ readonly name: string; readonly reader: SqlClient | BackstayError }> {
  try {
    return { name, reader: await openAdminSql(context, wantedServer(context.wanted, name)) }
  } catch (error) {
    return { name, reader: factOf(error) }
  }
}

async function watch(
  context: ClusterContext,
  reader: SqlClient,
  canary: { readonly token: string; readonly timeoutMs: number; readonly writtenAtMs: number },
): Promise<Sighting> {
  const { clock, signal } = context
  const { token, timeoutMs, writtenAtMs } = canary
  const look = async (): Promise<boolean> => {
    const [row] = await reader.query<{ seen: boolean }>(
      `SELECT true AS seen FROM ${CANARY_TABLE} WHERE token = $1`,
      [token],
    )
    return row?.seen === true
  }
  try {
    const isSeen = await until(async () => (await hasTable(reader)) && (await look()), {
      clock,
      signal,
      timeoutMs,
      intervalMs: POLL_MS,
    })
    const delayMs = clock.monotonic() - writtenAtMs
    return isSeen === true
      ? { delayMs, reason: undefined }
      : { delayMs: undefined, reason: `it was not there after ${timeoutMs / 1000} s` }
  } catch (error) {
    return { delayMs: undefined, reason: factOf(error).message }
  }
}

/** The very first canary's table is itself still on its way. */
async function hasTable(reader: SqlClient): Promise<boolean> {
  const { exists } = await reader.one<{ exists: boolean }>(
    `SELECT to_regclass('${CANARY_TABLE}') IS NOT NULL AS exists`,
  )
  return exists
}
