/**
 * Restores onto the machine of a server of the cluster file: the Backstay there does it, the data
 * comes to it straight from the backup server, and its progress is shown here.
 */
import { installationOf, installWhereMissing } from '../../build/install-where-missing.ts'
import { SERVICE_COMMAND } from '../../cluster/machine/service-source.ts'
import { wayDirectoryOf } from '../../cluster/machine/way-files.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { ensurePackage } from '../../fleet/ensure-package.ts'
import { getReadyThere } from '../../fleet/give-order.ts'
import type { RestoreThereOrder, RestoreTold } from '../../fleet/restore-order.ts'
import { formatDuration } from '../../util/duration.ts'
import { formatSize } from '../../util/size.ts'
import {
  canPlanThere,
  nothingTold,
  planOnBackupServer,
  type PlanThere,
  planThere,
  type RestoreTherePlace,
} from '../../work/plan-restore-there.ts'
import { type RestoredThere, restoreThere } from '../../work/restore-there.ts'
import type { CommandResult } from '../context.ts'
import type { TaskHandle } from '../output/tasks.ts'
import { nextStep, planJson, planText } from '../text/restore-text.ts'
import { readVersion } from '../version.ts'
import { openClusterSession } from './cluster-session.ts'
import { reportSteps } from './report-steps.ts'
import {
  type Destination,
  destinationOf,
  remarksOn,
  type RestoreContext,
  wishWords,
} from './restore-wish.ts'
import { backupOf } from './wal-place.ts'

interface RemoteRestore extends RestoreTherePlace {
  readonly context: RestoreContext
  readonly destination: Destination
}

/** A plan that was made elsewhere, as it reads here. */
interface ShownPlan extends PlanThere {
  readonly text: string
  readonly json: object
}

/**
 * @throws {BackstayError} USAGE, HOST_UNREACHABLE, HOST_COMMAND; what a restore on this machine
 * throws
 */
export async function restoreOnto(
  context: RestoreContext,
  server: ServerWanted,
): Promise<CommandResult> {
  refuseOptions(context)
  const { options, output } = context
  await using session = await openClusterSession(context, { report: reportSteps(output.tasks) })
  const destination = await destinationOf(context)
  if (destination === undefined) throw new BackstayError('BUG', 'A server without a directory')
  const { cluster } = session
  const course = { context, cluster, server, backup: backupOf(session.wanted), destination }
  if (options.plan && !(await canPlanThere(course))) return await planElsewhere(course)
  if (!options.plan) await installWhereMissing(cluster, server)
  const program = await getReady(course)
  const order = orderOf(course)
  const made = await output.tasks.task('Plan', async () => planThere(course, order, program))
  const planned = shown(course, made, destination)
  if (options.plan) return planResult(course, planned)
  output.write(`${planned.text}${notes(allWarnings(course, planned))}`)
  const { backup, bytesToWrite } = planned.plan
  const title = `Restore backup ${backup.id} on "${server.name}"`
  const done = await output.tasks.task(title, async (task) =>
    restoreThere(course, { order, program }, { on: (told) => show(task, told, bytesToWrite) }),
  )
  return restoredResult(course, planned, done)
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

/** The program to run there now. Puts Backstay there, and lets the server into the repository. */
async function getReady(course: RemoteRestore): Promise<readonly string[]> {
  const { context, cluster, server, backup } = course
  if (context.options.plan) return await ensurePackage(cluster, server)
  return await context.output.tasks.task(`Get ready on "${server.name}"`, async () =>
    getReadyThere(cluster, backup, server),
  )
}

function orderOf(course: RemoteRestore): Omit<RestoreThereOrder, 'isPlanOnly'> {
  const { context, cluster, server, destination } = course
  const { options } = context
  const { name, postgres } = cluster.wanted
  const { binaries } = postgres
  return {
    cluster: name,
    way: wayDirectoryOf(server.directory),
    wish: wishWords(context),
    directory: destination.directory,
    tablespaces: Object.fromEntries(destination.tablespaces),
    tablespaceRoots: [...destination.tablespaceRoots],
    isDelta: options.delta,
    allowDataLoss: options.allowDataLoss,
    keepArchiving: options.keepArchiving,
    startTimeoutMs: options.startTimeout,
    holdForMs: options.holdFor,
    program: [...SERVICE_COMMAND],
    ...(destination.walDirectory === undefined ? {} : { walDirectory: destination.walDirectory }),
    ...(options.start === undefined ? {} : { start: options.start }),
    ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
    ...(binaries === undefined ? {} : { binaries }),
  }
}

function show(task: TaskHandle, told: RestoreTold, bytesToWrite: number): void {
  if (told.told === 'progress') task.progress(told.bytes, bytesToWrite)
  if (told.told === 'phase') task.update(told.text)
}

/** @throws {BackstayError} HOST_COMMAND when a part of what was told is missing */
function shown(
  { context, server }: RemoteRestore,
  made: PlanThere,
  destination: Destination | undefined,
): ShownPlan {
  const { plan, osUser } = made
  const opener = osUser === undefined ? undefined : { osUser, port: context.options.start }
  try {
    const text = planText(plan, destination, opener)
    return { ...made, text, json: planJson(plan, destination, opener) }
  } catch {
    throw nothingTold(server.name, 'plan')
  }
}

/**
 * Without Backstay on the server's machine only the backup server can be asked, and nothing there
 * is changed for a plan.
 */
async function planElsewhere(course: RemoteRestore): Promise<CommandResult> {
  const { context, cluster, server, destination } = course
  const { path: configFile } = await context.config()
  const question = { words: wishWords(context), configFile, version: readVersion() }
  const planned = shown(course, await planOnBackupServer(course, question), undefined)
  const { directory } = destination
  const note = `whether "${directory}" on "${server.name}" can take it is seen when it is restored: Backstay is not there yet, or has no way into the repository`
  const installations = await installationOf(cluster, server)
  const bare = installations.map(({ title }) => `"${server.name}" is bare: ${title}, first`)
  const warnings = [...planned.warnings, note, ...bare]
  return {
    data: { ...planned.json, done: false, server: server.name, directory, warnings },
    text: () => `${planned.text}${notes(warnings)}`,
  }
}

function planResult(course: RemoteRestore, planned: ShownPlan): CommandResult {
  const warnings = allWarnings(course, planned)
  return {
    data: { ...planned.json, server: course.server.name, warnings, done: false },
    text: () => `${planned.text}${notes(warnings)}`,
  }
}

function restoredResult(
  course: RemoteRestore,
  planned: ShownPlan,
  done: RestoredThere,
): CommandResult {
  const { context, server, destination } = course
  const { restored, opened } = done
  const { bytes, elapsedMs } = restored
  const warnings = allWarnings(course, planned)
  const took = `Restored ${formatSize(bytes)} on "${server.name}" in ${formatDuration(elapsedMs)}.`
  return {
    data: { ...planned.json, server: server.name, warnings, done: true, restored, opened },
    text: () =>
      `${took} ${nextStep({ directory: destination.directory, port: context.options.start }, opened ?? undefined)}\n`,
  }
}

function allWarnings({ context }: RemoteRestore, planned: PlanThere): readonly string[] {
  return [...remarksOn(context), ...planned.warnings]
}

function notes(warnings: readonly string[]): string {
  return warnings.map((warning) => `Note: ${warning}.\n`).join('')
}
