/**
 * Restores onto the machine of a server of the cluster file: the Backstay there does it, the data
 * comes to it straight from the backup server, and its progress is shown here.
 */
import { z } from 'zod'
import { getReadyThere, giveRestoreOrder, makeDirectoriesThere } from '../../fleet/give-order.ts'
import { installationOf, installWhereMissing } from '../../build/install-where-missing.ts'
import type { RestoreThereOrder, RestoreTold } from '../../fleet/restore-order.ts'
import { decodePlan } from '../../fleet/told-plan.ts'
import { ensurePackage } from '../../fleet/ensure-package.ts'
import { lookPackage } from '../../cluster/look/look-package.ts'
import { SERVICE_COMMAND, serviceConfigOf } from '../../cluster/machine/service-source.ts'
import { lookWay } from '../../cluster/look/look-ways.ts'
import { wayDirectoryOf } from '../../cluster/machine/way-files.ts'
import type { BackupWanted, ServerWanted } from '../../cluster/wanted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { readErrorJson } from '../../errors/render.ts'
import { commandError } from '../../host/run-checked.ts'
import { checkProgram } from '../../host/whose-program.ts'
import { formatDuration } from '../../util/duration.ts'
import { readJson } from '../../util/read-json.ts'
import { formatSize } from '../../util/size.ts'
import type { CommandResult } from '../context.ts'
import type { TaskHandle } from '../output/tasks.ts'
import { type ClusterSession, openClusterSession } from './cluster-session.ts'
import { reportSteps } from './report-steps.ts'
import { nextStep, type Opener, planJson, planText } from '../text/restore-text.ts'
import { readVersion } from '../version.ts'
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

/** A plan that was made there, for people and for --json. */
interface PlanThere {
  readonly text: string
  readonly json: object
  readonly backup: string
  readonly bytesToWrite: number
  /** Those of the plan, and what stands in the way there. */
  readonly warnings: readonly string[]
}

type PlanTold = RestoreTold & { readonly told: 'plan' }
type DoneTold = RestoreTold & { readonly told: 'done' }

/**
 * @throws {BackstayError} USAGE, HOST_UNREACHABLE, HOST_COMMAND; what a restore on this machine
 * throws
 */
export async function restoreThere(
  context: RestoreContext,
  server: ServerWanted,
): Promise<CommandResult> {
  refuseOptions(context)
  const { tasks } = context.output
  await using session = await openClusterSession(context, { report: reportSteps(tasks) })
  const destination = await destinationOf(context)
  if (destination === undefined) throw new BackstayError('BUG', 'A server without a directory')
  const course: RemoteRestore = {
    context,
    session,
    server,
    backup: backupOf(session.wanted),
    destination,
  }
  if (context.options.plan && !(await canLookThere(course))) return await planOnBackupServer(course)
  if (!context.options.plan) await installWhereMissing(session.cluster, server)
  const program = await getReady(course)
  const planned = await plan(course, program)
  if (context.options.plan) return planResult(course, planned)
  context.output.write(`${planned.text}${notes(allWarnings(course, planned))}`)
  // Only what the operator names: whatever else the backup says, PostgreSQL's user makes it or
  // nobody.
  const { directory, tablespaces, walDirectory } = destination
  const wal = walDirectory === undefined ? [] : [walDirectory]
  const named = [directory, ...tablespaces.values(), ...wal]
  await makeDirectoriesThere(session.cluster, server, named)
  return restoredResult(course, planned, await restore(course, program, planned))
}

interface RemoteRestore {
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
async function canLookThere({ session, server }: RemoteRestore): Promise<boolean> {
  const { cluster } = session
  const { host } = await cluster.machineOf(server)
  const way = await lookWay(cluster, server)
  const isOpen = way.publicKey !== undefined && way.config !== undefined
  return isOpen && (await lookPackage(cluster, host)).isThere
}

/** The program to run there now. Puts Backstay there, and lets the server into the repository. */
async function getReady({
  context,
  session,
  server,
  backup,
}: RemoteRestore): Promise<readonly string[]> {
  const { cluster } = session
  if (context.options.plan) return await ensurePackage(cluster, server)
  return await context.output.tasks.task(`Get ready on "${server.name}"`, async () =>
    getReadyThere(cluster, backup, server),
  )
}

function orderOf(course: RemoteRestore, isPlanOnly: boolean): RestoreThereOrder {
  const { context, session, server, destination } = course
  const { options } = context
  const { binaries } = session.wanted.postgres
  return {
    cluster: session.wanted.name,
    way: wayDirectoryOf(server.directory),
    wish: wishWords(context),
    directory: destination.directory,
    tablespaces: Object.fromEntries(destination.tablespaces),
    tablespaceRoots: [...destination.tablespaceRoots],
    isDelta: options.delta,
    allowDataLoss: options.allowDataLoss,
    keepArchiving: options.keepArchiving,
    isPlanOnly,
    startTimeoutMs: options.startTimeout,
    holdForMs: options.holdFor,
    program: [...SERVICE_COMMAND],
    ...(destination.walDirectory === undefined ? {} : { walDirectory: destination.walDirectory }),
    ...(options.start === undefined ? {} : { start: options.start }),
    ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
    ...(binaries === undefined ? {} : { binaries }),
  }
}

async function plan(course: RemoteRestore, program: readonly string[]): Promise<PlanThere> {
  let heard: PlanTold | undefined
  const { server, destination, context } = course
  await context.output.tasks.task('Plan', async () =>
    giveRestoreOrder(course.session.cluster, server, {
      program,
      order: orderOf(course, true),
      hear: (told) => {
        if (told.told === 'plan') heard = told
      },
    }),
  )
  if (heard === undefined) throw nothingTold(server.name, 'plan')
  const opener = { osUser: heard.osUser, port: context.options.start }
  return planOf(heard.plan, { name: server.name, destination, opener }, heard.warnings)
}

interface PlanPlace {
  /** Of the machine that told it. */
  readonly name: string
  readonly destination?: Destination
  readonly opener?: Opener
}

/** @throws {BackstayError} HOST_COMMAND when what was told is no plan */
function planOf(
  told: string,
  { name, destination, opener }: PlanPlace,
  warnings: readonly string[] = [],
): PlanThere {
  const plan = decodePlan(told)
  try {
    if (plan !== undefined) {
      const text = planText(plan, destination, opener)
      const json = planJson(plan, destination, opener)
      const { backup, bytesToWrite } = plan
      return {
        text,
        json,
        backup: backup.id,
        bytesToWrite,
        warnings: [...plan.warnings, ...warnings],
      }
    }
  } catch {
    // A part of it is missing.
  }
  throw nothingTold(name, 'plan')
}

async function restore(
  course: RemoteRestore,
  program: readonly string[],
  planned: PlanThere,
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
  if (done === undefined) throw nothingTold(server.name, 'result')
  return done
}

function show(task: TaskHandle, told: RestoreTold, { bytesToWrite }: PlanThere): void {
  if (told.told === 'progress') task.progress(told.bytes, bytesToWrite)
  if (told.told === 'phase') task.update(told.text)
}

/**
 * Without Backstay on the server's machine only the backup server can be asked, and nothing there
 * is changed for a plan.
 */
async function planOnBackupServer(course: RemoteRestore): Promise<CommandResult> {
  const { server, session, destination } = course
  const planned = await askForPlan(course)
  const note = `whether "${destination.directory}" on "${server.name}" can take it is seen when it is restored: Backstay is not there yet, or has no way into the repository`
  const installations = await installationOf(session.cluster, server)
  const remarks = [
    note,
    ...installations.map(({ title }) => `"${server.name}" is bare: ${title}, first`),
  ]
  const warnings = [...planned.warnings, ...remarks]
  const { directory } = destination
  return {
    data: { ...planned.json, done: false, server: server.name, directory, warnings },
    text: () => `${planned.text}${notes(warnings)}`,
  }
}

/** It ended well and left out what it had to say: it is of another version, or in other hands. */
function nothingTold(name: string, what: string): BackstayError {
  return new BackstayError('HOST_COMMAND', `Backstay on "${name}" ended without a ${what}`, {
    hint: 'Run: backstay up. It brings the version you run there. When that changes nothing, look at who is at that machine.',
  })
}

/** A plan as another machine prints it, and the version of the program that made it. */
const PlanLine = z.object({ version: z.string(), plan: z.string() })

async function askForPlan({ context, session, backup }: RemoteRestore): Promise<PlanThere> {
  const { host } = await session.cluster.machineOf(backup)
  const program = backup.program ?? SERVICE_COMMAND
  const { path } = await context.config()
  const config = backup.host.local ? path : serviceConfigOf(session.wanted.name)
  const command = [...program, '--config', config, 'restore-plan', '--json']
  if (!backup.host.local) await checkProgram(host, program)
  const input = JSON.stringify(wishWords(context))
  const result = await host.run(command, { input, timeoutMs: TIMEOUT_MS, signal: context.signal })
  if (result.exitCode !== 0) {
    throw readErrorJson(result.stderr) ?? commandError(host.name, command, result)
  }
  const line = PlanLine.safeParse(readJson(result.stdout)).data
  if (line?.version !== readVersion()) throw nothingTold(backup.name, 'plan')
  return planOf(line.plan, { name: backup.name })
}

function planResult(course: RemoteRestore, planned: PlanThere): CommandResult {
  const warnings = allWarnings(course, planned)
  return {
    data: { ...planned.json, server: course.server.name, warnings, done: false },
    text: () => `${planned.text}${notes(warnings)}`,
  }
}

function restoredResult(course: RemoteRestore, planned: PlanThere, done: DoneTold): CommandResult {
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
