/**
 * What the demo does, in order: the cluster is built and proved, backed up, and the backup is
 * proved by restoring it.
 */
import { randomUUID } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { openSuperuserSql } from '../../cluster/look/connect.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import { bringUp } from '../../build/up.ts'
import { verifyCluster } from '../../build/verify.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { findBinaries } from '../../host/binaries.ts'
import { stopServer } from '../../host/postgres-control.ts'
import { formatLsn, INVALID_LSN, type Lsn, parseLsn } from '../../postgres/lsn.ts'
import { until } from '../../util/until.ts'
import { readReceiverStatus } from '../../wal/receiver-status.ts'
import type { TaskReporter } from '../output/tasks.ts'
import type { Environment } from '../../util/environment.ts'
import type { DemoPlace } from './settle.ts'
import { type RunningCommand, runOwnCommand, startOwnCommand } from './own-command.ts'

const WAL_TIMEOUT_MS = 30_000
const STANDBY_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 60_000

/** What the story is told with. */
export interface DemoStage {
  readonly place: DemoPlace
  readonly cluster: ClusterContext
  readonly tasks: TaskReporter
  readonly environment: Environment
}

/** The row that has to come back. */
export interface DemoRow {
  readonly token: string
  /** Where the primary's WAL ended after it. */
  readonly lsn: Lsn
}

/** Builds primary and standby, or brings them back. */
export async function buildCluster({ cluster }: DemoStage): Promise<void> {
  await bringUp(cluster)
}

/** Starts the backup server and waits until it receives WAL. */
export async function startBackupServer(stage: DemoStage): Promise<RunningCommand> {
  const log = await open(join(stage.place.directory, 'serve.log'), 'a')
  try {
    const startedAtMs = stage.cluster.clock.now()
    const server = startOwnCommand({ ...own(stage), words: ['serve'] }, log.fd)
    await waitForReceiver(stage, server, startedAtMs)
    return server
  } finally {
    await log.close()
  }
}

/** Writes a row on the primary and finds it on the standby; says how long that took. */
export async function proveReplication({ cluster }: DemoStage): Promise<string> {
  const result = await verifyCluster(cluster, { timeoutMs: STANDBY_TIMEOUT_MS })
  const [failed] = result.standbys.filter((standby) => !standby.isProved)
  if (failed !== undefined) {
    throw new BackstayError(
      'CHECK_FAILED',
      `Standby "${failed.server}" did not show the row: ${failed.reason ?? ''}`,
    )
  }
  return result.standbys
    .map(({ server, delayMs }) => `seen on "${server}" after ${(delayMs ?? 0).toFixed(1)} ms`)
    .join(', ')
}

/** Takes a backup; gives its id. */
export async function takeFirstBackup(stage: DemoStage, signal: AbortSignal): Promise<string> {
  const backup = (await runOwnCommand({ ...own(stage), words: ['backup'] }, signal)) as {
    id: string
  }
  return backup.id
}

/** Writes a row after the backup: only WAL can bring it back. */
export async function writeRow({ cluster }: DemoStage): Promise<DemoRow> {
  const token = randomUUID()
  const primary = await primaryServer(cluster)
  await using sql = await openSuperuserSql(cluster, primary)
  await sql.query(
    'CREATE TABLE IF NOT EXISTS public.demo (token uuid PRIMARY KEY, said text NOT NULL)',
  )
  await sql.query('INSERT INTO public.demo VALUES ($1, $2)', [token, 'written after the backup'])
  const { lsn } = await sql.one<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn')
  return { token, lsn: parseLsn(lsn) ?? INVALID_LSN }
}

/** Waits until the backup server has made everything up to the row durable. */
export async function waitForRow(stage: DemoStage, row: DemoRow): Promise<void> {
  const { cluster } = stage
  const reached = await until(
    async () => ((await receiverOf(stage))?.flushLsn ?? INVALID_LSN) >= row.lsn,
    { clock: cluster.clock, timeoutMs: WAL_TIMEOUT_MS, signal: cluster.signal },
  )
  if (reached === undefined) throw lateWal(row)
}

/**
 * Restores the backup with all WAL into a scratch directory, opens it, finds the row, and removes
 * the copy.
 */
export async function proveRestore(stage: DemoStage, row: DemoRow): Promise<void> {
  const { cluster, place } = stage
  const { signal } = cluster
  const directory = join(place.directory, 'restored')
  const port = scratchPort(cluster)
  const server = { ...firstServer(cluster), port, directory, socketDirectory: '/tmp' }
  await cluster.home.remove(directory)
  const words = ['restore', 'latest', directory, '--start', String(port), '--os-user', place.osUser]
  try {
    await runOwnCommand({ ...own(stage), words }, signal)
    await findRow(cluster, server, row)
  } finally {
    await stopCopy(stage, directory)
  }
  await cluster.home.remove(directory)
}

/** The port after the servers': nobody's but the restored copy's. */
function scratchPort({ wanted }: ClusterContext): number {
  return Math.max(...wanted.servers.map((server) => server.port)) + 1
}

async function findRow(cluster: ClusterContext, server: ServerWanted, row: DemoRow): Promise<void> {
  await using sql = await openSuperuserSql(cluster, server)
  const found = await sql.query('SELECT 1 FROM public.demo WHERE token = $1', [row.token])
  if (found.length === 1) return
  throw new BackstayError('CHECK_FAILED', `The restored copy lacks row ${row.token}`)
}

async function stopCopy({ cluster, place }: DemoStage, directory: string): Promise<void> {
  const { home, wanted } = cluster
  if ((await home.inspect(directory)) === undefined) return
  const { version: major, binaries: programs } = wanted.postgres
  const user = place.osUser
  const binaries = await findBinaries(home, { major, user, directory: programs })
  const instance = { name: 'restored', host: home, directory, binaries, user }
  await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS })
}

async function waitForReceiver(
  stage: DemoStage,
  server: RunningCommand,
  startedAtMs: number,
): Promise<void> {
  const { cluster, place } = stage
  let problem: string | undefined
  server.ended.then((reason) => (problem = reason)).catch(() => {})
  const streaming = await until(
    async () => problem !== undefined || (await isStreaming(stage, startedAtMs)),
    { clock: cluster.clock, timeoutMs: WAL_TIMEOUT_MS, signal: cluster.signal },
  )
  if (streaming === true && problem === undefined) return
  throw new BackstayError(
    'FAILED',
    `The backup server does not receive WAL: ${problem ?? 'it is not streaming yet'}`,
    { hint: `Its log is "${join(place.directory, 'serve.log')}".` },
  )
}

/** An earlier start's receiver may have left its status behind. */
async function isStreaming(stage: DemoStage, startedAtMs: number): Promise<boolean> {
  const status = await receiverOf(stage)
  return status?.state === 'streaming' && status.startedAtMs >= startedAtMs
}

async function receiverOf({ cluster }: DemoStage): ReturnType<typeof readReceiverStatus> {
  const repository = cluster.wanted.backup?.repository ?? ''
  return await readReceiverStatus(join(repository, cluster.wanted.name, 'spool'))
}

/** A demo that goes on may have been switched over since it was built. */
async function primaryServer(cluster: ClusterContext): Promise<ServerWanted> {
  const note = await cluster.state.readLeader()
  return cluster.wanted.servers.find(({ name }) => name === note?.server) ?? firstServer(cluster)
}

function firstServer({ wanted }: ClusterContext): ServerWanted {
  const [server] = wanted.servers
  if (server !== undefined) return server
  throw new BackstayError('BUG', 'The demo has no server')
}

function own({ place, environment }: DemoStage): { configFile: string; environment: Environment } {
  return { configFile: place.loaded.path, environment }
}

function lateWal(row: DemoRow): BackstayError {
  return new BackstayError(
    'TIMEOUT',
    `The backup server did not receive WAL up to ${formatLsn(row.lsn)} within ${WAL_TIMEOUT_MS / 1000} s`,
  )
}
