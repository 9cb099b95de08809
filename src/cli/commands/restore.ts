/**
 * `backstay restore`: a backup, and WAL up to any moment, into a directory.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { wishFrom } from '../../fleet/restore-order.ts'
import { findBinaries, type PostgresBinaries } from '../../host/binaries.ts'
import { checkPort } from '../../host/check-port.ts'
import { embeddedDirectories } from '../../host/embedded-postgres.ts'
import type { Host } from '../../host/host.ts'
import { LocalHost } from '../../host/local-host.ts'
import { isSupportedMajor } from '../../postgres/version.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { HeldLock } from '../../repository/lock.ts'
import { holdBackup, useBackup } from '../../repository/use-backup.ts'
import { NO_RESTORE_COMMAND } from '../../restore/copy-wal.ts'
import { loadSources } from '../../restore/load-sources.ts'
import { planRestore, type RestorePlan } from '../../restore/plan.ts'
import { type PreparedRestore, prepareRestore, type RestoreOrder } from '../../restore/prepare.ts'
import { surveyDemands } from '../../restore/replay-demands.ts'
import type { RestoreSources } from '../../restore/restore-sources.ts'
import { type RestoreResult, runRestore } from '../../restore/restore.ts'
import { hasRecovered, type OpenedState, openRestored } from '../../restore/start.ts'
import { formatDuration } from '../../util/duration.ts'
import { formatSize } from '../../util/size.ts'
import { restoreCommand } from '../../wal/restore-command.ts'
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
import { availableParallelism } from 'node:os'

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

/** The disk is the limit soon, and each thread takes some 50 MB. */
const MOST_JOBS = 4

/** @throws {BackstayError} TARGET_UNREACHABLE, DIRECTORY_FOREIGN, SERVER_RUNNING, DISK_SPACE, REPOSITORY_DAMAGED, … */
async function run(context: RestoreContext): Promise<CommandResult> {
  const elsewhere = await serverElsewhere(context)
  if (elsewhere !== undefined) {
    const { restoreThere } = await import('../session/restore-there.ts')
    return await restoreThere(context, elsewhere)
  }
  const repository = await openWalPlace(context)
  const destination = await destinationOf(context)
  const sources = await loadSources(repository, context.signal)
  const wish = await wishFrom(wishWords(context), repository)
  const plan = await context.output.tasks.task('Plan', async () => planRestore(wish, sources))
  const course = { context, repository, sources, plan }
  if (destination === undefined) {
    if (context.options.plan) return planResult(course, undefined, [])
    throw new BackstayError('USAGE', 'Cannot restore: no directory was named', {
      hint: 'Name a directory, or a server of the cluster file with --server.',
    })
  }
  return await restoreInto(course, destination)
}

interface Course {
  readonly context: RestoreContext
  readonly repository: ClusterRepository
  readonly sources: RestoreSources
  readonly plan: RestorePlan
}

async function restoreInto(course: Course, destination: Destination): Promise<CommandResult> {
  const { context, repository, plan } = course
  const { location } = repository.store
  const host = new LocalHost('localhost')
  const osUser = await osUserOf(context, host, location)
  const unreadable = await whatRecoveryCannotRead(host, osUser, location)
  const copiesWal = context.options.copyWal || unreadable.length > 0
  if (copiesWal) refuseStandby(context, unreadable)
  const prepared = await prepare(course, destination, { host, copiesWal })
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
  const result = await write(course, destination, { ...writer, copiesWal })
  const state =
    binaries === undefined
      ? undefined
      : await open(course, destination, { binaries, osUser, host: writer.host, hold })
  if (state !== undefined && hasRecovered(state)) await hold?.[Symbol.asyncDispose]()
  return restoredResult(course, seen, { result, state, warnings })
}

/** Whoever starts the server, its recovery outlives this process. */
async function holdWal(
  { context, repository, plan }: Course,
  { directory }: Destination,
): Promise<HeldLock> {
  const purpose = `the recovery of "${directory}"`
  return await holdBackup(repository, plan.backup.id, { purpose, forMs: context.options.holdFor })
}

async function prepare(
  { context, repository, sources, plan }: Course,
  destination: Destination,
  { host, copiesWal }: { readonly host: Host; readonly copiesWal: boolean },
): Promise<PreparedRestore> {
  const { delta, allowDataLoss } = context.options
  const order: RestoreOrder = { plan, ...destination, isDelta: delta, allowDataLoss, copiesWal }
  return await prepareRestore(order, { repository, host, map: sources.map })
}

/** Prepares again under the lock: a backup may have been deleted since. */
async function write(
  course: Course,
  destination: Destination,
  writer: Writer & { readonly copiesWal: boolean },
): Promise<RestoreResult> {
  const { context, repository, plan } = course
  const { id } = plan.backup
  const purpose = `restoring backup ${id} into "${destination.directory}"`
  await using _lock = await useBackup(repository, id, purpose)
  const prepared = await prepare(course, destination, writer)
  const { jobs, keepArchiving, start, standbyMode } = context.options
  const demands = await surveyDemands(repository, plan, context.signal)
  return await context.output.tasks.task(`Restore backup ${id}`, async (task) =>
    runRestore(prepared, {
      repository,
      clock: context.clock,
      recovery: {
        restoreCommand: writer.copiesWal
          ? NO_RESTORE_COMMAND
          : restoreCommand({
              program: lastingProgram(),
              place: { repository: repository.store.location },
              cluster: repository.identity.cluster,
              standby: standbyMode,
            }),
        keepArchiving,
        port: start,
      },
      demands,
      copiesWal: writer.copiesWal,
      standIns: start !== undefined,
      owner: writer.owner,
      workers: jobs ?? Math.min(MOST_JOBS, availableParallelism()),
      signal: context.signal,
      onProgress: ({ bytes }) => task.progress(bytes, plan.bytesToWrite),
      onPhase: (phase) => task.update(phase === 'sync' ? 'Making it durable' : ''),
    }),
  )
}

async function binariesFor({ context, plan }: Course, osUser: string): Promise<PostgresBinaries> {
  const { major } = plan.backup.postgres
  if (!isSupportedMajor(major)) {
    throw new BackstayError('POSTGRES_VERSION', `Cannot open PostgreSQL ${major}: it is not known`)
  }
  const directory =
    context.options.repository === undefined
      ? (await context.config()).wanted.postgres.binaries
      : undefined
  return await findBinaries(new LocalHost('localhost'), {
    major,
    user: osUser,
    directory,
    embedded: embeddedDirectories([packageFile('.'), context.workingDirectory], context.trusted),
  })
}

async function open(
  { context, repository, plan }: Course,
  { directory }: Destination,
  server: {
    binaries: PostgresBinaries
    osUser: string
    host: Writer['host']
    hold: HeldLock | undefined
  },
): Promise<OpenedState> {
  const { binaries, osUser, host, hold } = server
  const instance = { name: 'the restored server', host, binaries, directory, user: osUser }
  return await context.output.tasks.task('Open it and recover', async () =>
    openRestored(instance, plan, {
      clock: context.clock,
      timeoutMs: context.options.startTimeout,
      logFile: `${directory}/log/backstay-start.log`,
      hold: hold && `${repository.store.location}/${hold.object}`,
      signal: context.signal,
    }),
  )
}

/** Where to, and who opens it there. */
interface Seen extends Destination {
  readonly opener: Opener
}

function planResult(
  course: Course,
  seen: Seen | undefined,
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
  course: Course,
  seen: Seen,
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

function allWarnings({ context, plan }: Course, more: readonly string[]): string[] {
  return [...remarksOn(context), ...plan.warnings, ...more]
}

function warningText(course: Course, more: readonly string[]): string {
  return allWarnings(course, more)
    .map((warning) => `Note: ${warning}.\n`)
    .join('')
}
