/**
 * Restores onto the machine of a server of the cluster file: the Backstay there does it, the data comes to it straight from the
 * backup server, and its progress is shown here.
 */
import {
  getReadyThere,
  giveRestoreOrder,
  makeDirectoriesThere,
} from '../../cluster/restore-there/give-order.ts'
import type { RestoreThereOrder, RestoreTold } from '../../cluster/restore-there/restore-order.ts'
import { ensurePackage } from '../../cluster/service/ensure-package.ts'
import { lookPackage } from '../../cluster/service/look-package.ts'
import { SERVICE_COMMAND, serviceConfigOf } from '../../cluster/service/service-source.ts'
import { lookWay } from '../../cluster/way/look-ways.ts'
import { wayDirectoryOf } from '../../cluster/way/way-files.ts'
import type { BackupWanted, ServerWanted } from '../../cluster/wanted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { readErrorJson } from '../../errors/render.ts'
import { commandError } from '../../host/run-checked.ts'
import { formatDuration } from '../../util/duration.ts'
import { formatSize } from '../../util/size.ts'
import type { CommandResult } from '../context.ts'
import type { TaskHandle } from '../output/tasks.ts'
import { type ClusterSession, openClusterSession } from '../session/cluster-session.ts'
import { nextStep } from './restore.ts'
import {
  type Destination,
  destinationOf,
  remarksOn,
  type RestoreContext,
  wishWords,
} from './restore-wish.ts'
import { backupOf } from './wal-place.ts'

/** Large clusters take hours; a dead connection is noticed by ssh itself. */
const TIMEOUT_MS = 14 * 86_400_000

type PlanTold = RestoreTold & { readonly told: 'plan' }
type DoneTold = RestoreTold & { readonly told: 'done' }

/** @throws {BackstayError} USAGE, HOST_UNREACHABLE, HOST_COMMAND; what a restore on this machine throws */
export async function restoreThere(
  context: RestoreContext,
  server: ServerWanted,
): Promise<CommandResult> {
  refuseOptions(context)
  await using session = await openClusterSession(context)
  const destination = await destinationOf(context)
  if (destination === undefined) throw new BackstayError('BUG', 'A server without a directory')
  const course: Course = {
    context,
    session,
    server,
    backup: backupOf(session.wanted),
    destination,
  }
  if (context.options.plan && !(await canLookThere(course))) return await planOnBackupServer(course)
  const program = await getReady(course)
  const planned = await plan(course, program)
  if (context.options.plan) return planResult(course, planned)
  context.output.write(`${planned.text}${notes(allWarnings(course, planned))}`)
  await makeDirectoriesThere(session.cluster, server, planned.directories)
  return restoredResult(course, planned, await restore(course, program, planned))
}

interface Course {
  readonly context: RestoreContext
  readonly session: ClusterSession
  readonly server: ServerWanted
  readonly backup: BackupWanted
  readonly destination: Destination
}

function refuseOptions({ options }: RestoreContext): void {
  const [flag, why] = options.copyWal
    ? ['--copy-wal', 'recovery there fetches WAL from the backup server']
    : options.osUser !== undefined
      ? ['--os-user', 'the files there belong to the OS user of its PostgreSQL']
      : []
  if (flag === undefined) return
  throw new BackstayError('USAGE', `Cannot use ${flag} with a server on another machine: ${why}`)
}

/** Whether a plan can be made there without changing anything. */
async function canLookThere({ session, server }: Course): Promise<boolean> {
  const { cluster } = session
  const { host } = await cluster.machineOf(server)
  const way = await lookWay(cluster, server)
  const isOpen = way.publicKey !== undefined && way.config !== undefined
  return isOpen && (await lookPackage(cluster, host)).isThere
}

/** The program to run there now. Puts Backstay there, and lets the server into the repository. */
async function getReady({ context, session, server, backup }: Course): Promise<readonly string[]> {
  const { cluster } = session
  if (context.options.plan) return await ensurePackage(cluster, server)
  return await context.output.tasks.task(`Get ready on "${server.name}"`, async () =>
    getReadyThere(cluster, backup, server),
  )
}

function orderOf(course: Course, isPlanOnly: boolean): RestoreThereOrder {
  const { context, session, server, destination } = course
  const { options } = context
  const { binaries } = session.wanted.postgres
  return {
    cluster: session.wanted.name,
    way: wayDirectoryOf(server.directory),
    wish: wishWords(context),
    directory: destination.directory,
    tablespaces: Object.fromEntries(destination.tablespaces),
    isDelta: options.delta,
    allowDataLoss: options.allowDataLoss,
    keepArchiving: options.keepArchiving,
    isPlanOnly,
    startTimeoutMs: options.startTimeout,
    program: [...SERVICE_COMMAND],
    ...(options.start === undefined ? {} : { start: options.start }),
    ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
    ...(binaries === undefined ? {} : { binaries }),
  }
}

async function plan(course: Course, program: readonly string[]): Promise<PlanTold> {
  let planned: PlanTold | undefined
  const { tasks } = course.context.output
  await tasks.task('Plan', async () =>
    giveRestoreOrder(course.session.cluster, course.server, {
      program,
      order: orderOf(course, true),
      hear: (told) => {
        if (told.told === 'plan') planned = told
      },
    }),
  )
  if (planned === undefined) throw new BackstayError('BUG', 'A restore ended without a plan')
  return planned
}

async function restore(
  course: Course,
  program: readonly string[],
  planned: PlanTold,
): Promise<DoneTold> {
  const { context, server } = course
  let done: DoneTold | undefined
  await context.output.tasks.task(
    `Restore backup ${planned.backup} on "${server.name}"`,
    async (task) =>
      giveRestoreOrder(course.session.cluster, server, {
        program,
        order: orderOf(course, false),
        hear: (told) => {
          if (told.told === 'done') done = told
          else show(task, told, planned)
        },
      }),
  )
  if (done === undefined) throw new BackstayError('BUG', 'A restore ended without a result')
  return done
}

function show(task: TaskHandle, told: RestoreTold, { bytesToWrite }: PlanTold): void {
  if (told.told === 'progress') task.progress(told.bytes, bytesToWrite)
  if (told.told === 'phase') task.update(told.text)
}

/** Without Backstay on the server's machine only the backup server can be asked, and nothing there is changed for a plan. */
async function planOnBackupServer(course: Course): Promise<CommandResult> {
  const { server, destination } = course
  const json = JSON.parse(await askForPlan(course, ['--json'])) as Record<string, unknown>
  const text = await askForPlan(course, [])
  const note = `whether "${destination.directory}" on "${server.name}" can take it is seen when it is restored: Backstay is not there yet, or has no way into the repository`
  const warnings = [...(json['warnings'] as readonly string[]), note]
  return {
    data: { ...json, server: server.name, directory: destination.directory, warnings },
    text: () => `${text}${notes([note])}`,
  }
}

async function askForPlan(course: Course, more: readonly string[]): Promise<string> {
  const { context, session, backup } = course
  const { host } = await session.cluster.machineOf(backup)
  const words = wishWords(context)
  const program = backup.program ?? SERVICE_COMMAND
  const { path } = await context.config()
  const config = backup.host.local ? path : serviceConfigOf(session.wanted.name)
  const asked = ['--config', config, 'restore', words.backup, '--plan', ...targetWords(words)]
  const command = [...program, ...asked, ...more]
  const result = await host.run(command, { timeoutMs: TIMEOUT_MS, signal: context.signal })
  if (result.exitCode === 0) return result.stdout
  throw readErrorJson(result.stderr) ?? commandError(host.name, command, result)
}

function targetWords(words: ReturnType<typeof wishWords>): readonly string[] {
  const { targetTime, targetLsn, targetXid, targetName } = words
  const valued = Object.entries({
    '--target-time': targetTime,
    '--target-lsn': targetLsn,
    '--target-xid': targetXid,
    '--target-name': targetName,
    '--target-tli': words.targetTli,
    '--target-action': words.targetAction,
  }).flatMap(([flag, value]) => (value === undefined ? [] : [`${flag}=${value}`]))
  const flags = Object.entries({
    '--target-immediate': words.targetImmediate,
    '--exclusive': words.exclusive,
    '--standby-mode': words.standbyMode,
  }).flatMap(([flag, isGiven]) => (isGiven ? [flag] : []))
  return [...valued, ...flags]
}

function planResult(course: Course, planned: PlanTold): CommandResult {
  const warnings = allWarnings(course, planned)
  return {
    data: { ...planned.json, server: course.server.name, warnings, done: false },
    text: () => `${planned.text}${notes(warnings)}`,
  }
}

function restoredResult(course: Course, planned: PlanTold, done: DoneTold): CommandResult {
  const { context, server, destination } = course
  const { restored, opened } = done
  const { bytes, elapsedMs } = restored
  const warnings = allWarnings(course, planned)
  const took = `Restored ${formatSize(bytes)} on "${server.name}" in ${formatDuration(elapsedMs)}.`
  return {
    data: { ...planned.json, server: server.name, warnings, done: true, restored, opened },
    text: () => `${took} ${nextStep(context, destination, opened ?? undefined)}\n`,
  }
}

function allWarnings({ context }: Course, planned: PlanTold): readonly string[] {
  return [...remarksOn(context), ...planned.warnings]
}

function notes(warnings: readonly string[]): string {
  return warnings.map((warning) => `Note: ${warning}.\n`).join('')
}
