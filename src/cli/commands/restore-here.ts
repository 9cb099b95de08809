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
import { encodePlan } from '../../fleet/told-plan.ts'
import { checkPort } from '../../host/check-port.ts'
import { LocalHost } from '../../host/local-host.ts'
import type { ControlFile } from '../../postgres/control-file.ts'
import type { ReplayDemands } from '../../postgres/parameter-change.ts'
import { strangeKey } from '../../repository/backup-shape.ts'
import { type ClusterRepository, openCluster } from '../../repository/cluster-repository.ts'
import { type PreparedRestore, prepareRestore, type RestoreOrder } from '../../restore/prepare.ts'
import type { PostgresBinaries } from '../../host/binaries.ts'
import { type RestoreResult } from '../../restore/restore.ts'
import { hasRecovered, type OpenedState } from '../../restore/start.ts'
import { ownWayConfig } from '../../service/own-way.ts'
import { PipeClient } from '../../store/pipe-client.ts'
import { PipeStore } from '../../store/pipe-store.ts'
import { restoreCommand } from '../../wal/restore-command.ts'
import type { CommandContext } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import {
  restoreBackup,
  type RestoreBackupWish,
  type RestoreEvent,
  type RestorePlace,
} from '../../work/restore-backup.ts'
import { copyBinaries, openCopy } from '../../work/open-copy.ts'
import { openLifeline } from '../session/lifeline.ts'
import type { Destination } from '../session/restore-wish.ts'
import { type PipeVersion, pipeVersion, type PlannedThere } from '../session/serve-repository.ts'

export default defineCommand({
  run,
})

/**
 * Each thread has one. Of 16 connections that a server may have (session/gate-places.ts); the
 * recovery and this process need some.
 */
const CONNECTIONS_MAX = 12
const TELL_EVERY_MS = 200

/**
 * What is said goes to standard output, a line of JSON each.
 * @throws what `restore` throws, INTERRUPTED
 */
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
  const planned = await planThere(client, order)
  const course: OrderedRestore = { context, order, repository, planned, signal, tell }
  const host = new LocalHost('localhost')
  const prepared = await prepareRestore(orderOf(course), { repository, host, map: planned.map })
  if (order.start !== undefined) await checkPort(host, order.start)
  tellPlan(course, prepared)
  if (order.isPlanOnly) return
  await restore(course, client)
}

interface OrderedRestore {
  readonly context: CommandContext
  readonly order: RestoreThereOrder
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

/** What the backup says becomes paths here; whoever answers may have been broken into. */
async function planThere(client: PipeClient, { wish }: RestoreThereOrder): Promise<PlannedThere> {
  const planned = (await client.call('plan', wish)) as PlannedThere
  const backup = Object(Object(Object(planned).plan).backup) as Record<string, unknown>
  const strange = strangeKey(backup)
  if (strange === undefined) return planned
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot restore: "${strange}" of the backup that the backup server names cannot be that of a backup`,
  )
}

function orderOf({ order, planned }: OrderedRestore): RestoreOrder {
  const { isDelta, allowDataLoss } = order
  return { plan: planned.plan, ...destinationOf(order), isDelta, allowDataLoss }
}

function destinationOf(order: RestoreThereOrder): Destination {
  const { directory, tablespaceRoots, walDirectory } = order
  const tablespaces = new Map(Object.entries(order.tablespaces))
  return { directory, tablespaces, tablespaceRoots, walDirectory }
}

function tellPlan({ planned, tell }: OrderedRestore, { warnings }: PreparedRestore): void {
  const { plan } = planned
  const { user: osUser } = new LocalHost('localhost')
  const { bytesToWrite } = plan
  tell({ told: 'plan', plan: encodePlan(plan), osUser, bytesToWrite, warnings: [...warnings] })
}

async function restore(course: OrderedRestore, client: PipeClient): Promise<void> {
  const { order, planned, tell } = course
  const host = new LocalHost('localhost')
  const { start } = order
  const binaries = start === undefined ? undefined : await binariesFor(course, host)
  const backup = planned.plan.backup.id
  // The recovery, of a standby too until it streams, outlives this process.
  await client.call('hold', { backup, forMs: order.holdForMs })
  const { files, bytes, writtenBytes, elapsedMs } = await write(course, client)
  const opened = binaries === undefined ? null : await open(course, host, binaries)
  if (opened !== null && hasRecovered(opened)) await client.call('release')
  tell({ told: 'done', restored: { files, bytes, writtenBytes, elapsedMs }, opened })
}

async function write(course: OrderedRestore, client: PipeClient): Promise<RestoreResult> {
  const { context, order, repository, planned, signal } = course
  const backup = planned.plan.backup.id
  const place: RestorePlace = {
    repository,
    map: planned.map,
    host: new LocalHost('localhost'),
    clock: context.clock,
    // It is let go of with the connection.
    use: async () => {
      await client.call('use', { backup })
      return { [Symbol.asyncDispose]: async () => {} }
    },
    demands: async () =>
      ((await client.call('demands', order.wish)) ?? undefined) as ReplayDemands | undefined,
  }
  const on = teller(course)
  return (await restoreBackup(place, wishOf(course), { signal, on })).result
}

function wishOf(course: OrderedRestore): RestoreBackupWish {
  const { keepArchiving, start: port, program, way, cluster, wish, standby, jobs } = course.order
  const command = { program, place: { way }, cluster, standby: wish.standbyMode }
  return {
    order: orderOf(course),
    recovery: { restoreCommand: restoreCommand(command), keepArchiving, port },
    ...(standby === undefined ? {} : { configure: standbyOf(standby) }),
    standIns: port !== undefined,
    owner: undefined,
    jobs: jobs === undefined ? undefined : Math.min(jobs, CONNECTIONS_MAX),
  }
}

function teller({ context, tell }: OrderedRestore): (event: RestoreEvent) => void {
  let toldAtMs = 0
  return (event) => {
    if (event.kind === 'phase') {
      if (event.phase === 'sync') tell({ told: 'phase', text: 'Making it durable' })
      return
    }
    const nowMs = context.clock.monotonic()
    if (nowMs - toldAtMs < TELL_EVERY_MS) return
    toldAtMs = nowMs
    tell({ told: 'progress', bytes: event.bytes })
  }
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

async function binariesFor(
  { order, planned }: OrderedRestore,
  host: LocalHost,
): Promise<PostgresBinaries> {
  return await copyBinaries(host, planned.plan, { user: host.user, directory: order.binaries })
}

async function open(
  { context, order, planned, signal, tell }: OrderedRestore,
  host: LocalHost,
  binaries: PostgresBinaries,
): Promise<OpenedState> {
  const { directory, startTimeoutMs: timeoutMs } = order
  tell({ told: 'phase', text: 'Open it and recover' })
  const copy = { plan: planned.plan, directory, host, user: host.user, binaries }
  return await openCopy(copy, { clock: context.clock, timeoutMs, signal })
}
