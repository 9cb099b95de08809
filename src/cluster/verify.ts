/**
 * Proves that replication works: a row with a token nobody has seen before is written on the primary and found on every
 * standby. What was proved is said; what was not is said too.
 */
import { randomUUID } from 'node:crypto'
import { BackstayError } from '../errors/backstay-error.ts'
import { until } from '../util/until.ts'
import type { SqlClient } from '../wire/sql-client.ts'
import { type ClusterContext, factOf } from './context.ts'
import type { ServerFound } from './found.ts'
import { openAdminSql } from './look/connect.ts'
import { lookCluster } from './look/look.ts'
import { SCHEMA_NAME } from './names.ts'
import { wantedServer } from './plan/plan.ts'
import { type AnsweringServer, answeringPrimary, replicationOf } from './replication.ts'

const SEEN_TIMEOUT_MS = 30_000
const POLL_MS = 2

const CREATE_TABLE = `
CREATE SCHEMA IF NOT EXISTS ${SCHEMA_NAME};
CREATE TABLE IF NOT EXISTS ${SCHEMA_NAME}.canary (token uuid PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT now())`

const WRITE_TOKEN = `
WITH old AS (DELETE FROM ${SCHEMA_NAME}.canary WHERE written_at < now() - interval '1 day')
INSERT INTO ${SCHEMA_NAME}.canary (token) VALUES ($1)`

/** What was proved about one standby. */
export interface StandbyProof {
  readonly server: string
  readonly isProved: boolean
  /** From the commit on the primary until a reader of the standby saw the row. */
  readonly delayMs: number | undefined
  /** pg_stat_replication.state on the primary. */
  readonly senderState: string | undefined
  /** pg_stat_wal_receiver.status on the standby. */
  readonly receiverState: string | undefined
  readonly replayLagBytes: number | undefined
  /** Why it is not proved. */
  readonly reason: string | undefined
}

/** What `verify` found out. */
export interface VerifyResult {
  readonly primary: string
  readonly token: string
  readonly isProved: boolean
  readonly standbys: readonly StandbyProof[]
  /** What was done, one sentence each. */
  readonly checked: readonly string[]
}

/** How long to wait for the row. */
export interface VerifyOptions {
  readonly timeoutMs?: number
}

/**
 * Verifies. A standby that does not show the row is a result, not an exception.
 * @throws PRIMARY_MISSING when no server answers as the primary; what writing on it throws.
 */
export async function verifyCluster(
  context: ClusterContext,
  options: VerifyOptions = {},
): Promise<VerifyResult> {
  const before = await lookCluster(context, { forPlan: false })
  const primary = answeringPrimary(before)
  if (primary === undefined) {
    throw new BackstayError('PRIMARY_MISSING', 'Cannot verify: no server answers as the primary')
  }
  const standbys = before.servers.filter((server) => server.name !== primary.name)
  const token = randomUUID()
  const timeoutMs = options.timeoutMs ?? SEEN_TIMEOUT_MS
  const seen = await sendCanary(context, { primary, standbys, token, timeoutMs })
  const after = await lookCluster(context, { forPlan: false })
  const proofs = standbys.map((standby) =>
    proofOf(
      answeringPrimary(after),
      after.servers.find((server) => server.name === standby.name) ?? standby,
      seen.get(standby.name),
    ),
  )
  return {
    primary: primary.name,
    token,
    isProved: proofs.every((proof) => proof.isProved),
    standbys: proofs,
    checked: [
      `wrote token ${token} to ${SCHEMA_NAME}.canary on "${primary.name}"`,
      ...proofs.map((proof) =>
        proof.delayMs === undefined
          ? `did not find it on "${proof.server}": ${proof.reason ?? ''}`
          : `found it on "${proof.server}" after ${proof.delayMs.toFixed(1)} ms`,
      ),
      `read pg_stat_replication on "${primary.name}" and pg_stat_wal_receiver on every standby`,
    ],
  }
}

/** How a canary fared on one standby. */
interface Sighting {
  readonly delayMs: number | undefined
  readonly reason: string | undefined
}

async function sendCanary(
  context: ClusterContext,
  canary: {
    readonly primary: AnsweringServer
    readonly standbys: readonly ServerFound[]
    readonly token: string
    readonly timeoutMs: number
  },
): Promise<ReadonlyMap<string, Sighting>> {
  const { primary, standbys, token, timeoutMs } = canary
  // Connected before the row is written, so that the delay measured is replication's alone.
  const readers = await Promise.all(standbys.map(async (standby) => openReader(context, standby)))
  try {
    await using sql = await openAdminSql(context, wantedServer(context.wanted, primary.name))
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
  standby: ServerFound,
): Promise<{ readonly name: string; readonly reader: SqlClient | BackstayError }> {
  const { name } = standby
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
      `SELECT true AS seen FROM ${SCHEMA_NAME}.canary WHERE token = $1`,
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
    `SELECT to_regclass('${SCHEMA_NAME}.canary') IS NOT NULL AS exists`,
  )
  return exists
}

function proofOf(
  primary: AnsweringServer | undefined,
  standby: ServerFound,
  sighting: Sighting | undefined,
): StandbyProof {
  const replication = replicationOf(primary, standby)
  const senderState = replication.sender?.state
  const receiverState = standby.sql?.receiver?.status
  const isStreaming = senderState === 'streaming' && receiverState === 'streaming'
  const delayMs = sighting?.delayMs
  const reason =
    delayMs === undefined
      ? sighting?.reason
      : isStreaming
        ? undefined
        : `the row arrived, but sender is "${senderState ?? 'missing'}" and receiver "${receiverState ?? 'missing'}"`
  return {
    server: standby.name,
    isProved: delayMs !== undefined && isStreaming,
    delayMs,
    senderState,
    receiverState,
    replayLagBytes: replication.replayLagBytes,
    reason,
  }
}
