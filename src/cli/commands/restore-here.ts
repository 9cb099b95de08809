/**
 * `backstay restore-here`: started by `restore --server` on that server's machine; not for people.
 */
import { writeStandbyFiles } from '../../build/clone/standby-files.ts'
import { WAY_HOST } from '../../cluster/machine/way-files.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import {
  parseRestoreOrder,
  type RestoreThereOrder,
  type RestoreTold,
} from '../../fleet/restore-order.ts'
import { findBinaries } from '../../host/binaries.ts'
import { checkPort } from '../../host/check-port.ts'
import { LocalHost } from '../../host/local-host.ts'
import type { ControlFile } from '../../postgres/control-file.ts'
import type { ReplayDemands } from '../../postgres/parameter-change.ts'
import { isSupportedMajor } from '../../postgres/version.ts'
import { type ClusterRepository, openCluster } from '../../repository/cluster-repository.ts'
import { type PreparedRestore, prepareRestore } from '../../restore/prepare.ts'
import { type RestoreResult, runRestore } from '../../restore/restore.ts'
import { hasRecovered, type OpenedState, openRestored } from '../../restore/start.ts'
import { ownWayConfig } from '../../service/own-way.ts'
import { PipeClient } from '../../store/pipe-client.ts'
import { PipeStore } from '../../store/pipe-store.ts'
import { restoreCommand } from '../../wal/restore-command.ts'
import type { CommandContext } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { openLifeline } from '../session/lifeline.ts'
import type { Destination } from '../session/restore-wish.ts'
import { type PipeVersion, pipeVersion, type PlannedThere } from '../session/serve-repository.ts'
import { planJson, planText } from '../text/restore-text.ts'
import { availableParallelism } from 'node:os'

export default defineCommand({
  run,
})

/** The disk is the limit soon, and each thread has a connection of its own. */
const MOST_JOBS = 4
/** Of 16 connections that a server may have (session/gate-places.ts); the recovery and this process need some. */
const CONNECTIONS_MAX = 12
const TELL_EVERY_MS = 200

/** What is said goes to standard output, a line of JSON each. @throws what `restore` throws, INTERRUPTED */
async function run(context: CommandContext): Promise<void> {
  using lifeline = openLifeline(context.stdin)
  const signal = AbortSignal.any([context.signal, lifeline.signal])
  const order = parseRestoreOrder(await lifeline.order)
  const command = ['ssh', '-F', ownWayConfig(order.way), WAY_HOST, 'read']
  await using client = new PipeClient(command)
  const tell = (told: RestoreTold): void => void context.stdout.write(`${JSON.stringify(told)}\n`)
  await checkVersion(client)
  const store = new PipeStore(client)
  const repository = await openCluster(store, order.cluster, context.clock)
  const planned = (await client.call('plan', order.wish)) as PlannedThere
  const course: Course = { context, order, command, repository, planned, signal, tell }
  const prepared = await prepare(course)
  if (order.start !== undefined) await checkPort(new LocalHost('localhost'), order.start)
  tellPlan(course, prepared)
  if (order.isPlanOnly) return
  await restore(course, client)
}

interface Course {
  readonly context: CommandContext
  readonly order: RestoreThereOrder
  /** Starts what serves the repository. */
  readonly command: readonly string[]
  readonly repository: ClusterRepository
  readonly planned: PlannedThere
  readonly signal: AbortSignal
  readonly tell: (told: RestoreTold) => void
}

/** Plans are values of the program: the same one has to be on both sides. */
async function checkVersion(client: PipeClient): Promise<void> {
  const there = (await client.call('version')) as PipeVersion
  const here = pipeVersion()
  if (there.protocol === here.protocol && there.version === here.version) return
  throw new BackstayError(
    'HOST_COMMAND',
    `Cannot restore: Backstay on the backup server is ${there.version}, the one here ${here.version}`,
    { hint: 'Run: backstay up. It brings the backup server to the version you run.' },
  )
}

async function prepare(course: Course): Promise<PreparedRestore> {
  const { order, repository, planned } = course
  const { isDelta, allowDataLoss } = order
  return await prepareRestore(
    { plan: planned.plan, ...destinationOf(order), isDelta, allowDataLoss },
    { repository, host: new LocalHost('localhost'), map: planned.map },
  )
}

function destinationOf(order: RestoreThereOrder): Destination {
  const { directory, tablespaceRoots, walDirectory } = order
  const tablespaces = new Map(Object.entries(order.tablespaces))
  return { directory, tablespaces, tablespaceRoots, walDirectory }
}

function tellPlan({ order, planned, tell }: Course, prepared: PreparedRestore): void {
  const { plan } = planned
  const destination = destinationOf(order)
  const opener = { osUser: new LocalHost('localhost').user, port: order.start }
  tell({
    told: 'plan',
    text: planText(plan, destination, opener),
    json: { ...planJson(plan, destination, opener) },
    bytesToWrite: plan.bytesToWrite,
    backup: plan.backup.id,
    warnings: [...plan.warnings, ...prepared.warnings],
  })
}

async function restore(course: Course, client: PipeClient): Promise<void> {
  const { order, planned, tell } = course
  const host = new LocalHost('localhost')
  const { start } = order
  const binaries = start === undefined ? undefined : await binariesFor(course, host)
  const backup = planned.plan.backup.id
  await client.call('use', { backup })
  // The recovery, of a standby too until it streams, outlives this process.
  await client.call('hold', { backup, forMs: order.holdForMs })
  const demands = ((await client.call('demands', order.wish)) ?? undefined) as
    | ReplayDemands
    | undefined
  // Once more under the hold: the backup may have been deleted since.
  const written = await write(course, await prepare(course), demands)
  const { files, bytes, writtenBytes, elapsedMs } = written
  const opened = binaries === undefined ? null : await open(course, host, binaries)
  if (opened !== null && hasRecovered(opened)) await client.call('release')
  tell({ told: 'done', restored: { files, bytes, writtenBytes, elapsedMs }, opened })
}

async function write(
  course: Course,
  prepared: PreparedRestore,
  demands: ReplayDemands | undefined,
): Promise<RestoreResult> {
  const { context, order, command, repository, signal, tell } = course
  const { keepArchiving, start: port, program, way, cluster, wish } = order
  let toldAtMs = 0
  return await runRestore(prepared, {
    repository,
    storeAddress: { kind: 'pipe', command },
    clock: context.clock,
    recovery: {
      restoreCommand: restoreCommand({
        program,
        place: { way },
        cluster,
        standby: wish.standbyMode,
      }),
      keepArchiving,
      port,
    },
    ...(order.standby === undefined ? {} : { configure: standbyOf(order.standby) }),
    demands,
    standIns: port !== undefined,
    owner: undefined,
    workers: Math.min(order.jobs ?? Math.min(MOST_JOBS, availableParallelism()), CONNECTIONS_MAX),
    signal,
    onProgress: ({ bytes }) => {
      const nowMs = context.clock.monotonic()
      if (nowMs - toldAtMs < TELL_EVERY_MS) return
      toldAtMs = nowMs
      tell({ told: 'progress', bytes })
    },
    onPhase: (phase) => {
      if (phase === 'sync') tell({ told: 'phase', text: 'Making it durable' })
    },
  })
}

/** The files of a standby, as a clone from the primary gets them. */
function standbyOf({ wanted, ...names }: NonNullable<RestoreThereOrder['standby']>) {
  const [server, primary] = [names.server, names.primary].map((name) =>
    wanted.servers.find((each) => each.name === name),
  )
  return async (_directory: string, { parameters }: ControlFile): Promise<void> => {
    if (server === undefined || primary === undefined) {
      throw new BackstayError('USAGE', `Cannot make standby "${names.server}": it is not known`)
    }
    const host = new LocalHost('localhost')
    await writeStandbyFiles(wanted, host, { server, primary, owner: host.user, parameters })
  }
}

async function binariesFor({ order, planned }: Course, host: LocalHost) {
  const { major } = planned.plan.backup.postgres
  if (!isSupportedMajor(major)) {
    throw new BackstayError('POSTGRES_VERSION', `Cannot open PostgreSQL ${major}: it is not known`)
  }
  return await findBinaries(host, { major, user: host.user, directory: order.binaries })
}

async function open(
  { context, order, planned, signal, tell }: Course,
  host: LocalHost,
  binaries: Awaited<ReturnType<typeof binariesFor>>,
): Promise<OpenedState> {
  const { directory, startTimeoutMs: timeoutMs } = order
  tell({ told: 'phase', text: 'Open it and recover' })
  const instance = { name: 'the restored server', host, binaries, directory, user: host.user }
  const logFile = `${directory}/log/backstay-start.log`
  return await openRestored(instance, planned.plan, {
    clock: context.clock,
    timeoutMs,
    logFile,
    signal,
  })
}
