/**
 * `backstay restore`: a backup, and WAL up to any moment, into a directory.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { wishFrom } from '../../fleet/restore-order.ts'
import { type PostgresBinaries } from '../../host/binaries.ts'
import { checkPort } from '../../host/check-port.ts'
import { embeddedDirectories } from '../../host/embedded-postgres.ts'
import { LocalHost } from '../../host/local-host.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { HeldLock } from '../../repository/lock.ts'
import { holdBackup } from '../../repository/use-backup.ts'
import { NO_RESTORE_COMMAND } from '../../restore/copy-wal.ts'
import type { RestorePlan } from '../../restore/plan.ts'
import { prepareRestore, type RestoreOrder } from '../../restore/prepare.ts'
import type { RestoreSources } from '../../restore/restore-sources.ts'
import { type RestoreResult } from '../../restore/restore.ts'
import { hasRecovered, type OpenedState } from '../../restore/start.ts'
import { formatDuration } from '../../util/duration.ts'
import { formatSize } from '../../util/size.ts'
import { restoreCommand } from '../../wal/restore-command.ts'
import { planInRepository } from '../../work/plan-restore.ts'
import {
  localPlace,
  restoreBackup,
  type RestoreBackupWish,
  type RestoreEvent,
} from '../../work/restore-backup.ts'
import { copyBinaries, openCopy, type RestoredCopy } from '../../work/open-copy.ts'
import type { TaskHandle } from '../output/tasks.ts'
import type { CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import {
  becomeWriter,
  osUserOf,
  refuseStandby,
  whatRecoveryCannotRead,
  type Writer,
} from '../session/restore-identity.ts'
import {
  type Destination,
  destinationOf,
  remarksOn,
  type RestoreContext,
  serverElsewhere,
  wishWords,
} from '../session/restore-wish.ts'
import { lastingProgram } from '../session/self-program.ts'
import { openWalPlace } from '../session/wal-place.ts'
import { nextStep, openedAs, type Opener, planJson, planText } from '../text/restore-text.ts'
import { packageFile } from '../version.ts'
import { ARGUMENTS, OPTIONS } from './restore-options.ts'

export default defineCommand({
  description: `Says first which backup, which timelines, which WAL, how much and how long, or why it cannot be done; --plan stops there.
The restored copy does not archive, waits for no standby and follows nobody. A target given without time zone is local time.
On the machine of a server the Backstay there restores, as PostgreSQL's OS user; the data comes to it straight from the backup server.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: [
    'TARGET_UNREACHABLE',
    'RECOVERY_END',
    'BACKUP_MISSING',
    'DIRECTORY_FOREIGN',
    'SERVER_RUNNING',
    'PORT_IN_USE',
    'DISK_SPACE',
    'DATA_LOSS',
    'REPOSITORY_DAMAGED',
  ],
  examples: [
    'backstay restore latest /srv/restored',
    'backstay restore auto /srv/restored --target-time "2026-11-22 10:00:00+00" --plan',
    'backstay restore auto /srv/look --target-xid 4711 --exclusive --start 6543',
    'backstay restore latest --server db2 --delta',
  ],
  run,
})

/**
 * @throws {BackstayError} TARGET_UNREACHABLE, DIRECTORY_FOREIGN, SERVER_RUNNING, DISK_SPACE,
 * REPOSITORY_DAMAGED, …
 */
async function run(context: RestoreContext): Promise<CommandResult> {
  const elsewhere = await serverElsewhere(context)
  if (elsewhere !== undefined) {
    const { restoreOnto } = await import('../session/restore-onto.ts')
    return await restoreOnto(context, elsewhere)
  }
  const repository = await openWalPlace(context)
  const destination = await destinationOf(context)
  const wish = await wishFrom(wishWords(context), repository)
  const { plan, sources } = await context.output.tasks.task('Plan', async () =>
    planInRepository(repository, wish, context),
  )
  const course = { context, repository, sources, plan }
  if (destination === undefined) {
    if (context.options.plan) return planResult(course, undefined, [])
    throw new BackstayError('USAGE', 'Cannot restore: no directory was named', {
      hint: 'Name a directory, or a server of the cluster file with --server.',
    })
  }
  return await restoreInto(course, destination)
}

interface LocalRestore {
  readonly context: RestoreContext
  readonly repository: ClusterRepository
  readonly sources: RestoreSources
  readonly plan: RestorePlan
}

async function restoreInto(course: LocalRestore, destination: Destination): Promise<CommandResult> {
  const { context, repository, plan } = course
  const { location } = repository.store
  const host = new LocalHost('localhost')
  const osUser = await osUserOf(context, host, location)
  const unreadable = await whatRecoveryCannotRead(host, osUser, location)
  const copiesWal = context.options.copyWal || unreadable.length > 0
  if (copiesWal) refuseStandby(context, unreadable)
  const order = orderOf(course, destination, copiesWal)
  const prepared = await prepareRestore(order, { repository, host, map: course.sources.map })
  const warnings = [
    ...prepared.warnings,
    ...unreadable.map((problem) => `${problem}: the WAL is copied into the directory instead`),
  ]
  if (context.options.start !== undefined) await checkPort(host, context.options.start)
  const opener = { osUser, port: context.options.start }
  const seen = { ...destination, opener }
  if (context.options.plan) return planResult(course, seen, warnings)
  const binaries =
    context.options.start === undefined ? undefined : await binariesFor(course, osUser)
  context.output.write(`${planText(plan, destination, opener)}${warningText(course, warnings)}`)
  const writer = await becomeWriter(osUser, prepared.layout, location)
  const hold = copiesWal ? undefined : await holdWal(course, destination)
  const result = await write(course, order, writer)
  const { directory } = destination
  const state =
    binaries === undefined
      ? undefined
      : await open(course, { plan, directory, host: writer.host, user: osUser, binaries }, hold)
  if (state !== undefined && hasRecovered(state)) await hold?.[Symbol.asyncDispose]()
  return restoredResult(course, seen, { result, state, warnings })
}

/** Whoever starts the server, its recovery outlives this process. */
async function holdWal(
  { context, repository, plan }: LocalRestore,
  { directory }: Destination,
): Promise<HeldLock> {
  const purpose = `the recovery of "${directory}"`
  return await holdBackup(repository, plan.backup.id, { purpose, forMs: context.options.holdFor })
}

function orderOf(
  { context, plan }: LocalRestore,
  destination: Destination,
  copiesWal: boolean,
): RestoreOrder {
  const { delta, allowDataLoss } = context.options
  return { plan, ...destination, isDelta: delta, allowDataLoss, copiesWal }
}

async function write(
  course: LocalRestore,
  order: RestoreOrder,
  { host, owner }: Writer,
): Promise<RestoreResult> {
  const { context, repository, sources, plan } = course
  const { clock, signal, output } = context
  const place = localPlace({ repository, map: sources.map, host, clock }, plan)
  return await output.tasks.task(`Restore backup ${plan.backup.id}`, async (task) => {
    const on = (event: RestoreEvent): void => tell(event, task, plan)
    return (await restoreBackup(place, wishOf(course, order, owner), { signal, on })).result
  })
}

function wishOf(
  { context, repository }: LocalRestore,
  order: RestoreOrder,
  owner: Writer['owner'],
): RestoreBackupWish {
  const { jobs, keepArchiving, start: port, standbyMode: standby } = context.options
  const { copiesWal = false } = order
  const place = { repository: repository.store.location }
  const { cluster } = repository.identity
  const command = copiesWal
    ? NO_RESTORE_COMMAND
    : restoreCommand({ program: lastingProgram(), place, cluster, standby })
  const recovery = { restoreCommand: command, keepArchiving, port }
  return { order, recovery, copiesWal, standIns: port !== undefined, owner, jobs }
}

function tell(event: RestoreEvent, task: TaskHandle, { bytesToWrite }: RestorePlan): void {
  if (event.kind === 'progress') task.progress(event.bytes, bytesToWrite)
  else task.update(event.phase === 'sync' ? 'Making it durable' : '')
}

async function binariesFor(
  { context, plan }: LocalRestore,
  user: string,
): Promise<PostgresBinaries> {
  const directory =
    context.options.repository === undefined
      ? (await context.config()).wanted.postgres.binaries
      : undefined
  return await copyBinaries(new LocalHost('localhost'), plan, {
    user,
    directory,
    embedded: embeddedDirectories([packageFile('.'), context.workingDirectory], context.trusted),
  })
}

async function open(
  { context, repository }: LocalRestore,
  copy: RestoredCopy,
  hold: HeldLock | undefined,
): Promise<OpenedState> {
  const { clock, signal, options, output } = context
  return await output.tasks.task('Open it and recover', async () =>
    openCopy(copy, {
      clock,
      timeoutMs: options.startTimeout,
      hold: hold && `${repository.store.location}/${hold.object}`,
      signal,
    }),
  )
}

/** Where to, and who opens it there. */
interface DestinationSeen extends Destination {
  readonly opener: Opener
}

function planResult(
  course: LocalRestore,
  seen: DestinationSeen | undefined,
  warnings: readonly string[],
): CommandResult {
  const { plan } = course
  return {
    data: {
      ...planJson(plan, seen, seen?.opener),
      warnings: allWarnings(course, warnings),
      done: false,
    },
    text: () => `${planText(plan, seen, seen?.opener)}${warningText(course, warnings)}`,
  }
}

function restoredResult(
  course: LocalRestore,
  seen: DestinationSeen,
  done: {
    result: RestoreResult
    state: OpenedState | undefined
    warnings: readonly string[]
  },
): CommandResult {
  const { result, state, warnings } = done
  const { files, bytes, writtenBytes, elapsedMs } = result
  return {
    data: {
      ...planJson(course.plan, seen, seen.opener),
      warnings: allWarnings(course, warnings),
      done: true,
      restored: { files, bytes, writtenBytes, elapsedMs },
      opened: state ?? null,
    },
    text: () =>
      `Restored ${formatSize(bytes)} in ${formatDuration(elapsedMs)}. ${nextStep({ directory: seen.directory, port: seen.opener.port }, state)}${openedAs(seen.opener, state)}\n`,
  }
}

function allWarnings({ context, plan }: LocalRestore, more: readonly string[]): string[] {
  return [...remarksOn(context), ...plan.warnings, ...more]
}

function warningText(course: LocalRestore, more: readonly string[]): string {
  return allWarnings(course, more)
    .map((warning) => `Note: ${warning}.\n`)
    .join('')
}
