/**
 * Gives a candidate WAL that others hold and it lacks, before it is promoted: the segments are put
 * into its pg_wal while it is stopped, and it replays them when it starts.
 */
import { posix } from 'node:path'
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { stopServer } from '../host/postgres-control.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { formatSize } from '../util/size.ts'
import { applySteps, takeStep } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import { step } from '../build/plan/step.ts'
import { hasReplayed, replayAtOnce } from './replay-delay.ts'
import { instanceOf } from '../build/steps/act-context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import type { Standing } from './wal-reach.ts'
import { segmentsBetween, type WalSource } from './wal-sources.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/**
 * Of a stop in order. A standby that another one follows which is ahead of it does not come to its
 * end: its walsender waits for more WAL.
 */
const ORDERLY_MS = 15_000
const STOP_TIMEOUT_MS = 10 * 60_000
const REPLAY_TIMEOUT_MS = 30 * 60_000

/**
 * Feeds `to`, which stands at `standing`, from `source`.
 * @throws TIMEOUT when it does not replay what it was given.
 */
export async function feedCandidate(
  context: ClusterContext,
  place: { readonly to: string; readonly standing: Standing },
  source: WalSource,
): Promise<void> {
  const server = wantedServer(context.wanted, place.to)
  const bytes = formatSize(Number(source.endLsn - place.standing.lsn))
  const told = {
    id: `${place.to}.feed`,
    server: place.to,
    title: `take ${bytes} of WAL from "${source.name}"`,
  }
  await takeStep(context, told, async () => {
    await stopCandidate(context, server)
    await putSegments(context, { server, standing: place.standing }, source)
  })
  const start = { title: 'start PostgreSQL', reason: 'to replay it' }
  await applySteps(context, [step(place.to, { action: 'start' }, start)])
  await waitReplayed(context, server, source.endLsn)
}

/**
 * At once where it does not end in order: what a standby has received is durable, and it replays
 * that again.
 */
async function stopCandidate(context: ClusterContext, server: ServerWanted): Promise<void> {
  const { signal } = context
  const instance = await instanceOf(context, server)
  try {
    await stopServer(instance, { timeoutMs: ORDERLY_MS, signal })
  } catch (error) {
    if (!isBackstayError(error, 'TIMEOUT')) throw error
    await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS, signal, mode: 'immediate' })
  }
}

async function putSegments(
  context: ClusterContext,
  place: { readonly server: ServerWanted; readonly standing: Standing },
  source: WalSource,
): Promise<void> {
  const { server, standing } = place
  const { host, osUser } = await context.machineOf(server)
  for (const name of segmentsBetween(standing, source.endLsn)) {
    const content = await source.readSegment(name)
    if (content === undefined) {
      throw new BackstayError('WAL_MISSING', `"${source.name}" no longer holds WAL segment ${name}`)
    }
    const whole = Buffer.alloc(standing.segmentBytes)
    content.copy(whole)
    const path = posix.join(server.directory, 'pg_wal', name)
    await host.writeFile(path, whole, { mode: 0o600, owner: osUser })
  }
}

async function waitReplayed(
  context: ClusterContext,
  server: ServerWanted,
  endLsn: Lsn,
): Promise<void> {
  const { clock, signal } = context
  await using sql = await openAdminSql(context, server)
  await using _delay = await replayAtOnce(sql)
  if (await hasReplayed(sql, endLsn, { clock, signal, timeoutMs: REPLAY_TIMEOUT_MS })) return
  throw new BackstayError(
    'TIMEOUT',
    `"${server.name}" did not replay the WAL it was given up to ${formatLsn(endLsn)}`,
    { hint: `See its log in ${server.directory}/log.` },
  )
}
