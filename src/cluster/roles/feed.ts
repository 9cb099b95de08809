/**
 * Gives a candidate WAL that others hold and it lacks, before it is promoted: the segments are put into its pg_wal while it
 * is stopped, and it replays them when it starts.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { stopServer } from '../../host/postgres-control.ts'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import { formatSize } from '../../util/size.ts'
import { until } from '../../util/until.ts'
import { applySteps, takeStep } from '../apply.ts'
import type { ClusterContext } from '../context.ts'
import { openAdminSql } from '../look/connect.ts'
import { wantedServer } from '../plan/plan.ts'
import { step } from '../plan/step.ts'
import { instanceOf } from '../steps/act-context.ts'
import type { ServerWanted } from '../wanted.ts'
import { segmentsBetween, type Standing, type WalSource } from './wal-sources.ts'

const STOP_TIMEOUT_MS = 10 * 60_000
const REPLAY_TIMEOUT_MS = 30 * 60_000

/** Feeds `to`, which stands at `standing`, from `source`. @throws TIMEOUT when it does not replay what it was given. */
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
    const instance = await instanceOf(context, server)
    await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS, signal: context.signal })
    await putSegments(context, { server, standing: place.standing }, source)
  })
  const start = { title: 'start PostgreSQL', reason: 'to replay it' }
  await applySteps(context, [step(place.to, { action: 'start' }, start)])
  await waitReplayed(context, server, source.endLsn)
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
  const isThere = await until(
    async () => {
      const { replayed } = await sql.one<{ replayed: Lsn | null }>(
        'SELECT pg_last_wal_replay_lsn() AS replayed',
      )
      return replayed !== null && replayed >= endLsn
    },
    { clock, signal, timeoutMs: REPLAY_TIMEOUT_MS },
  )
  if (isThere === true) return
  throw new BackstayError(
    'TIMEOUT',
    `"${server.name}" did not replay the WAL it was given up to ${formatLsn(endLsn)}`,
    { hint: `See its log in ${server.directory}/log.` },
  )
}
