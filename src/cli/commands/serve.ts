/**
 * `backstay serve`: the daemon.
 */
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import { createRepository } from '../../repository/cluster-repository.ts'
import { type JobKind, noteFailedJob } from '../../repository/failed-jobs.ts'
import { clusterNames } from '../../repository/format.ts'
import { type ChildProgram, runChild } from '../../service/child-task.ts'
import { controlSocketOf } from '../../service/control-protocol.ts'
import { openServiceLog } from '../../service/log.ts'
import type { Job } from '../../service/schedule.ts'
import { WalServer } from '../../service/serve-wal.ts'
import { serve } from '../../service/serve.ts'
import type { LongTask } from '../../service/supervise.ts'
import { systemdUnit } from '../../service/systemd-unit.ts'
import { storeAt } from '../../store/address.ts'
import { readReceiverStatus } from '../../wal/receiver-status.ts'
import { spoolDirectoryOf } from '../../wal/spool-place.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { requireMadePlace } from '../session/made-place.ts'
import { becomeRepositoryOwner } from '../session/repository-owner.ts'
import { lastingProgram, selfProgram } from '../session/self-program.ts'
import { backupOf } from '../session/wal-place.ts'
import { OPTIONS as RECEIVE_OPTIONS } from './wal-receive.ts'
import { userInfo } from 'node:os'

const OPTIONS = {
  logLevel: RECEIVE_OPTIONS.logLevel,
  unit: { type: 'flag', help: 'Print a systemd unit for this cluster file and end' },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Keeps the WAL receiver running, takes and expires backups as the schedule says, and serves WAL to recoveries on this machine.
Logs JSON lines to standard error. Runs until it is interrupted; SIGHUP ends it only where it was started at a terminal, and makes it read nothing anew.`,
  needs: { config: true },
  options: OPTIONS,
  staysOnHangup: true,
  exits: ['REPOSITORY_LOCKED'],
  examples: ['backstay serve', 'backstay serve --unit > /etc/systemd/system/backstay.service'],
  run,
})

type ServeContext = CommandContext<typeof OPTIONS>

/** Between SIGTERM and SIGKILL of a receiver or a job; below the unit's TimeoutStopSec. */
const CHILD_STOP_TIMEOUT_MS = 45_000

/** @throws {BackstayError} REPOSITORY_LOCKED when a service runs for the repository already */
async function run(context: ServeContext): Promise<CommandResult | void> {
  const { wanted, path } = await context.config()
  if (context.options.unit) return unitText(wanted, path)
  const { repository } = backupOf(wanted)
  await becomeRepositoryOwner(repository)
  await requireMadePlace(repository)
  const store = storeAt(repository)
  await createRepository(store, context.clock)
  await using walServer = new WalServer(store, context.clock)
  const { environment, clock, signal } = context
  await serve(
    {
      tasks: [receiverTask(context, wanted, path)],
      jobs: jobsOf(context, wanted, path),
      socketPath: controlSocketOf(repository),
      status: async () => ({
        cluster: wanted.name,
        receiver: await readReceiverStatus(
          spoolDirectoryOf({ store, names: clusterNames(wanted.name) }),
        ),
      }),
      getWal: async (call) => walServer.get(call),
      clock,
      log: openServiceLog(context.options.logLevel),
      systemd: {
        notifySocket: environment['NOTIFY_SOCKET'],
        watchdogMicroseconds: numberOf(environment['WATCHDOG_USEC']),
      },
    },
    signal,
  )
}

/** The receiver has a process of its own: no work of the service may delay an acknowledgement. */
function receiverTask(context: ServeContext, wanted: ClusterWanted, configFile: string): LongTask {
  const words = ['wal', 'receive', '--supervised', '--log-level', context.options.logLevel]
  return {
    name: `${wanted.name}: receiver`,
    run: async (signal) => runChild(program(context, configFile, words), signal),
  }
}

/** Work on the schedule, each in a process of its own: what it uses is given back when it ends. */
function jobsOf(context: ServeContext, wanted: ClusterWanted, configFile: string): Job[] {
  const { schedule } = backupOf(wanted)
  const runWords = async (kind: JobKind, word: string, signal: AbortSignal): Promise<void> =>
    noting(context, { wanted, kind }, async () =>
      runChild(program(context, configFile, [word]), signal),
    )
  return [
    {
      name: `${wanted.name}: backup`,
      cron: schedule.backup,
      run: async (signal) => {
        await runWords('backup', 'backup', signal)
        await runWords('expire', 'expire', signal)
      },
    },
    {
      name: `${wanted.name}: verify`,
      cron: schedule.verify,
      run: async (signal) => runWords('verify', 'verify-backup', signal),
    },
  ]
}

/**
 * Exit code of what was done and has something to tell, which `status` finds by itself: damaged
 * pages, two primaries.
 */
const DONE_WITH_REMARKS = 3

/**
 * Runs the work and notes when it failed. The command itself takes the note away when it succeeds,
 * by hand too.
 */
async function noting(
  { clock }: ServeContext,
  { wanted, kind }: { readonly wanted: ClusterWanted; readonly kind: JobKind },
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isBackstayError(error)) throw error
    const { exitCode } = error.details
    if (exitCode === DONE_WITH_REMARKS) return
    const place = {
      store: storeAt(backupOf(wanted).repository),
      names: clusterNames(wanted.name),
    }
    const at = new Date(clock.now()).toISOString()
    await noteFailedJob(place, {
      kind,
      at,
      exitCode: typeof exitCode === 'number' ? exitCode : null,
    })
    throw error
  }
}

function program(
  { environment }: ServeContext,
  configFile: string,
  words: readonly string[],
): ChildProgram {
  const [command, ...leading] = selfProgram()
  return {
    command,
    arguments: [...leading, '--config', configFile, ...words],
    environment,
    stopTimeoutMs: CHILD_STOP_TIMEOUT_MS,
  }
}

function unitText(wanted: ClusterWanted, configFile: string): CommandResult {
  const { repository } = backupOf(wanted)
  const text = systemdUnit({
    command: lastingProgram(),
    configFile,
    user: userInfo().username,
    writablePaths: [repository, wanted.stateDirectory],
  })
  return { data: { unit: text }, text: () => text }
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new BackstayError('FAILED', `Cannot use WATCHDOG_USEC "${text}": it is no number`)
}
