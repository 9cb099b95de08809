/**
 * Proves that replication works: a row with a token nobody has seen before is written on the
 * primary and found on every standby. What was proved is said; what was not is said too.
 */
import { randomUUID } from 'node:crypto'
import { BackstayError } from '../errors/backstay-error.ts'
import { sendCanary, type Sighting } from './canary.ts'
import { CANARY_TABLE } from './canary-table.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound, ServerFound } from '../cluster/found.ts'
import { lookCluster } from '../cluster/look/look.ts'
import {
  AHEAD,
  type AnsweringServer,
  answeringPrimary,
  isAhead,
  replicationOf,
} from '../cluster/replication.ts'

const SEEN_TIMEOUT_MS = 30_000

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
export interface VerifyClusterOptions {
  readonly timeoutMs?: number
}

/**
 * Verifies. A standby that does not show the row is a result, not an exception.
 * @throws POSTGRES_IDENTITY when a server is of another cluster than this one was built as;
 * PRIMARY_MISSING when no server answers as the primary; what writing on it throws.
 */
export async function verifyCluster(
  context: ClusterContext,
  options: VerifyClusterOptions = {},
): Promise<VerifyResult> {
  const before = await lookCluster(context, { forPlan: false })
  assertIdentity(before)
  const primary = answeringPrimary(before)
  if (primary === undefined) {
    throw new BackstayError('PRIMARY_MISSING', 'Cannot verify: no server answers as the primary')
  }
  const standbys = before.servers.filter((server) => server.name !== primary.name)
  const token = randomUUID()
  const timeoutMs = options.timeoutMs ?? SEEN_TIMEOUT_MS
  const seen = await sendCanary(context, {
    primary: primary.name,
    standbys: standbys.map(({ name }) => name),
    token,
    timeoutMs,
  })
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
      `wrote token ${token} to ${CANARY_TABLE} on "${primary.name}"`,
      ...proofs.map((proof) =>
        proof.delayMs === undefined
          ? `did not find it on "${proof.server}": ${proof.reason ?? ''}`
          : `found it on "${proof.server}" after ${proof.delayMs.toFixed(1)} ms`,
      ),
      `read pg_stat_replication on "${primary.name}" and pg_stat_wal_receiver on every standby`,
    ],
  }
}

/** A row that crosses proves nothing about this cluster when the servers are of another. */
function assertIdentity({ identity, servers }: ClusterFound): void {
  for (const { name, sql } of servers) {
    if (identity === undefined || sql === undefined) continue
    if (sql.systemIdentifier === identity.systemIdentifier) continue
    throw new BackstayError(
      'POSTGRES_IDENTITY',
      `Cannot verify: the system identifier of server "${name}" is ${sql.systemIdentifier}, that of the cluster is ${identity.systemIdentifier}`,
      {
        hint: 'See that servers.<name> names the right machine, and that identity.json in the state directory is this cluster’s.',
      },
    )
  }
}

function proofOf(
  primary: AnsweringServer | undefined,
  standby: ServerFound,
  sighting: Sighting | undefined,
): StandbyProof {
  const replication = replicationOf(primary, standby)
  const senderState = replication.sender?.state
  const receiverState = standby.sql?.receiver?.status
  const isPassed = isAhead(primary?.sql, standby)
  const isStreaming = senderState === 'streaming' && receiverState === 'streaming' && !isPassed
  const delayMs = sighting?.delayMs
  const reason =
    delayMs === undefined
      ? sighting?.reason
      : isStreaming
        ? undefined
        : isPassed
          ? `the row arrived, but ${AHEAD} on the primary`
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
