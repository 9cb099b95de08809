/**
 * Restores onto this machine from the repository on another one, for a Backstay elsewhere and only as long as that is there. Runs
 * as the OS user who is to own the files; the data comes through the gate of the backup server.
 */
import { availableParallelism } from 'node:os'
import { BackstayError } from '../../errors/backstay-error.ts'
import { writeStandbyFiles } from '../../cluster/clone/standby-files.ts'
import { wantedServer } from '../../cluster/plan/plan.ts'
import { WAY_HOST, wayPaths } from '../../cluster/way/way-files.ts'
import { findBinaries } from '../../host/binaries.ts'
import { LocalHost } from '../../host/local-host.ts'
import type { ControlFile } from '../../postgres/control-file.ts'
import { isSupportedMajor } from '../../postgres/version.ts'
import { type ClusterRepository, openCluster } from '../../repository/cluster-repository.ts'
import { type PreparedRestore, prepareRestore } from '../../restore/prepare.ts'
import { type RestoreResult, runRestore } from '../../restore/restore.ts'
import { type OpenedState, openRestored } from '../../restore/start.ts'
import { PipeClient } from '../../store/pipe-client.ts'
import { PipeStore } from '../../store/pipe-store.ts'
import { restoreCommand } from '../../wal/restore-command.ts'
import type { CommandContext } from '../context.ts'
import { openLifeline } from '../session/lifeline.ts'
import { RestoreThereOrder, type RestoreTold } from '../../cluster/restore-there/restore-order.ts'
import { type PipeVersion, pipeVersion, type PlannedThere } from '../session/serve-repository.ts'
import { planJson, planText } from './restore-text.ts'

/** The disk is the limit soon, and each thread has a connection of its own. */
const MOST_JOBS = 4
const TELL_EVERY_MS = 200

/** What is said goes to standard output, a line of JSON each. @throws what `restore` throws, INTERRUPTED */
export async function run(context: CommandContext): Promise<void> {
  using lifeline = openLifeline(context.stdin)
  const signal = AbortSignal.any([context.signal, lifeline.signal])
  const order = parseOrder(await lifeline.order)
  const command = ['ssh', '-F', wayPaths(order.way).config, WAY_HOST, 'read']
  await using client = new PipeClient(command)
  const tell = (told: RestoreTold): void => void context.stdout.write(`${JSON.stringify(told)}\n`)
  await checkVersion(client)
  const store = new PipeStore(client)
  const repository = await openCluster(store, order.cluster, context.clock)
  const planned = (await client.call('plan', order.wish)) as PlannedThere
  const course: Course = { context, order, command, repository, planned, signal, tell }
  const prepared = await prepare(course)
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

function parseOrder(line: string): RestoreThereOrder {
  const order = RestoreThereOrder.safeParse(JSON.parse(line))
  if (order.success) return order.data
  throw new BackstayError('USAGE', `Cannot restore: the order is none: ${order.error.message}`)
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
  const { directory, isDelta, allowDataLoss } = order
  const tablespaces = new Map(Object.entries(order.tablespaces))
  return await prepareRestore(
    { plan: planned.plan, directory, tablespaces, isDelta, allowDataLoss },
    { repository, host: new LocalHost('localhost'), map: planned.map },
  )
}

function tellPlan({ order, planned, tell }: Course, prepared: PreparedRestore): void {
  const { plan } = planned
  const { directory } = order
  const destination = { directory, tablespaces: new Map(Object.entries(order.tablespaces)) }
  tell({
    told: 'plan',
    text: planText(plan, destination),
    json: { ...planJson(plan, destination) },
    bytesToWrite: plan.bytesToWrite,
    backup: plan.backup.id,
    warnings: [...plan.warnings, ...prepared.warnings],
    directories: [directory, ...prepared.layout.tablespaces.map((place) => place.directory)],
  })
}

async function restore(course: Course, client: PipeClient): Promise<void> {
  const { order, planned, tell } = course
  const host = new LocalHost('localhost')
  const { start } = order
  const binaries = start === undefined ? undefined : await binariesFor(course, host)
  await client.call('use', { backup: planned.plan.backup.id })
  // Once more under the hold: the backup may have been deleted since.
  const { files, bytes, writtenBytes, elapsedMs } = await write(course, await prepare(course))
  const opened = binaries === undefined ? null : await open(course, host, binaries)
  tell({ told: 'done', restored: { files, bytes, writtenBytes, elapsedMs }, opened })
}

async function write(course: Course, prepared: PreparedRestore): Promise<RestoreResult> {
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
    standIns: port !== undefined,
    owner: undefined,
    workers: order.jobs ?? Math.min(MOST_JOBS, availableParallelism()),
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
  const [server, primary] = [names.server, names.primary].map((name) => wantedServer(wanted, name))
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
