/**
 * Keeps a task running: starts it again when it ends, after a pause that grows while it fails at
 * once and shrinks back when it had run well. Endless by design; the signal ends it.
 */
import type { Clock } from '../util/clock.ts'
import { errorFacts, type ServiceLog } from './log.ts'

const FIRST_PAUSE_MS = 1000
const LAST_PAUSE_MS = 60_000
/** A task that ran for so long was healthy: the next pause is the first again. */
const HEALTHY_MS = 60_000

/** A task that should always run. It ends itself when `signal` aborts. */
export interface LongTask {
  readonly name: string
  run(signal: AbortSignal): Promise<void>
}

/** Where supervision writes what happens, when it ends, and how long it pauses after a failure. */
interface SupervisionOptions {
  readonly clock: Clock
  readonly log: ServiceLog
  readonly signal: AbortSignal
  /** Default 1 s, doubled up to a minute. */
  readonly firstPauseMs?: number
}

/** Runs `task` again and again until the signal aborts; then waits for its end. Never throws. */
export async function supervise(task: LongTask, options: SupervisionOptions): Promise<void> {
  const { clock, log, signal } = options
  const first = options.firstPauseMs ?? FIRST_PAUSE_MS
  for (let pauseMs = first; !signal.aborted;) {
    const startedAt = clock.monotonic()
    await runOnce(task, options)
    if (signal.aborted) return
    pauseMs = clock.monotonic() - startedAt >= HEALTHY_MS ? first : pauseMs
    log.warn({ task: task.name, pauseMs }, 'starting again after a pause')
    await clock.sleep(pauseMs, signal).catch(() => undefined)
    pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS)
  }
}

async function runOnce(task: LongTask, { log, signal }: SupervisionOptions): Promise<void> {
  log.info({ task: task.name }, 'started')
  try {
    await task.run(signal)
    log.info({ task: task.name }, 'ended')
  } catch (error) {
    if (!signal.aborted) log.error({ task: task.name, ...errorFacts(error) }, 'failed')
  }
}
