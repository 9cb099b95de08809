/**
 * Telling what is being done: the interface commands and engine callbacks report to, its plain form
 * for pipes, and its silent form for --json and --quiet. The live form for terminals is
 * terminal-tasks.ts.
 */
import type { Clock } from '../../util/clock.ts'
import { formatDuration } from '../../util/duration.ts'
import type { Colour } from './colour.ts'

/** What a running task can tell. */
export interface TaskHandle {
  /** What it is doing right now; replaces what was said before. */
  update(text: string): void
  /** How many bytes are done, of how many when that is known. */
  progress(doneBytes: number, totalBytes?: number): void
}

/** Reports work. Tasks may run at the same time. */
export interface TaskReporter {
  /**
   * Runs `work` and says how it ended and how long it took. Gives back, or throws, what `work`
   * does.
   */
  task<T>(title: string, work: (task: TaskHandle) => Promise<T>): Promise<T>
  /** Says something that stays. */
  note(text: string): void
}

/** What a reporter needs of the world. */
export interface TaskSurroundings {
  readonly write: (text: string) => void
  readonly clock: Clock
  readonly colour: Colour
}

/** `✓ Clone db2 (4.1 s)` */
export function finishedLine(
  title: string,
  outcome: { readonly ok: boolean; readonly elapsedMs: number },
  colour: Colour,
): string {
  const mark = outcome.ok ? colour.good('✓') : colour.bad('✗')
  return `${mark} ${title} ${colour.dim(`(${formatDuration(outcome.elapsedMs)})`)}`
}

/** One line for each task, when it has ended. */
export function plainTasks({ write, clock, colour }: TaskSurroundings): TaskReporter {
  return {
    async task(title, work) {
      const startedAt = clock.monotonic()
      const finish = (ok: boolean) =>
        write(`${finishedLine(title, { ok, elapsedMs: clock.monotonic() - startedAt }, colour)}\n`)
      try {
        const value = await work(SILENT_HANDLE)
        finish(true)
        return value
      } catch (error) {
        finish(false)
        throw error
      }
    },
    note: (text) => write(`${text}\n`),
  }
}

const SILENT_HANDLE: TaskHandle = { update: () => {}, progress: () => {} }

/** Does the work and says nothing. */
export const silentTasks: TaskReporter = {
  task: (_title, work) => work(SILENT_HANDLE),
  note: () => {},
}
