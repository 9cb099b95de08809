/**
 * The daemon: keeps long tasks running, runs jobs on time, answers on its socket, and tells
 * systemd. What the tasks and jobs do is given to it.
 */
import type { Clock } from '../util/clock.ts'
import type { ControlCall } from './control-protocol.ts'
import { listenForControl } from './control-server.ts'
import type { ServiceLog } from './log.ts'
import { type Job, type JobState, Schedule } from './schedule.ts'
import { type LongTask, supervise } from './supervise.ts'
import { type NotifyEnvironment, SystemdNotifier } from './systemd-notify.ts'

/** What the service is made of. */
export interface ServiceOptions {
  readonly tasks: readonly LongTask[]
  readonly jobs: readonly Job[]
  readonly socketPath: string
  /** What `status` says beside tasks and jobs. */
  readonly status: () => Promise<object>
  /** Answers `get-wal`. @throws {BackstayError} WAL_MISSING, … */
  readonly getWal: (call: Extract<ControlCall, { call: 'get-wal' }>) => Promise<unknown>
  readonly clock: Clock
  readonly log: ServiceLog
  readonly systemd: NotifyEnvironment
}

/** What `status` answers; `more` is what the caller of `serve` adds. */
interface ServiceStatus {
  readonly pid: number
  readonly startedAtMs: number
  readonly tasks: readonly string[]
  readonly jobs: readonly JobState[]
  readonly more: object
}

/**
 * Runs until `signal` aborts, then ends tasks and jobs in order.
 * @throws {BackstayError} REPOSITORY_LOCKED when a service runs already, CONFIG_INVALID for a
 * schedule that is none.
 */
export async function serve(options: ServiceOptions, signal: AbortSignal): Promise<void> {
  const { clock, log, tasks } = options
  const startedAtMs = clock.now()
  using notifier = new SystemdNotifier(options.systemd)
  await using schedule = new Schedule(options.jobs, { clock, log })
  const handler = async (call: ControlCall): Promise<unknown> => {
    if (call.call === 'status') return await describe(options, schedule, startedAtMs)
    if (call.call === 'trigger') return { outcome: schedule.trigger(call.job) }
    return await options.getWal(call)
  }
  await using _control = await listenForControl(options.socketPath, handler)
  const running = tasks.map(async (task) => supervise(task, { clock, log, signal }))
  log.info({ pid: process.pid, socket: options.socketPath }, 'service is up')
  await notifier.ready(`${tasks.length} tasks, ${options.jobs.length} jobs`)
  await aborted(signal)
  log.info({}, 'service stops')
  await notifier.stopping()
  await Promise.all(running)
}

async function describe(
  options: ServiceOptions,
  schedule: Schedule,
  startedAtMs: number,
): Promise<ServiceStatus> {
  return {
    pid: process.pid,
    startedAtMs,
    tasks: options.tasks.map((task) => task.name),
    jobs: schedule.states(),
    more: await options.status(),
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}
