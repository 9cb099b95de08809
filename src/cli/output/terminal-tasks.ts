/**
 * Tasks on a terminal: what runs is redrawn in place below what has ended. Nothing is left to undo
 * when the process is killed: the cursor stays visible and no terminal mode is changed.
 */
import { printable } from '../../errors/printable.ts'
import { formatDuration } from '../../util/duration.ts'
import { type TaskProgress, renderProgress } from './progress.ts'
import { truncate } from './table.ts'
import { finishedLine, type TaskHandle, type TaskReporter, type TaskSurroundings } from './tasks.ts'

/** A terminal to draw on. */
export interface TerminalSurroundings extends TaskSurroundings {
  /** Asked at every drawing: the window can change. */
  columns(): number
}

interface RunningTask {
  readonly title: string
  readonly startedAtMs: number
  text: string
  progress: Omit<TaskProgress, 'elapsedMs'> | undefined
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const REDRAW_MS = 80

/** Draws running tasks with their progress, and ended ones as lines that stay. */
export class TerminalTasks implements TaskReporter {
  readonly #around: TerminalSurroundings
  readonly #running = new Set<RunningTask>()
  #timer: NodeJS.Timeout | undefined
  #drawnLines = 0
  #frame = 0

  constructor(around: TerminalSurroundings) {
    this.#around = around
  }

  async task<T>(title: string, work: (task: TaskHandle) => Promise<T>): Promise<T> {
    const task = this.#begin(title)
    try {
      const value = await work({
        update: (text) => (task.text = text),
        progress: (doneBytes, totalBytes) => (task.progress = { doneBytes, totalBytes }),
      })
      this.#end(task, true)
      return value
    } catch (error) {
      this.#end(task, false)
      throw error
    }
  }

  note(text: string): void {
    this.#draw(`${text}\n`)
  }

  #begin(title: string): RunningTask {
    const startedAtMs = this.#around.clock.monotonic()
    const task = { title, startedAtMs, text: '', progress: undefined }
    this.#running.add(task)
    this.#timer ??= setInterval(() => this.#draw(''), REDRAW_MS)
    this.#draw('')
    return task
  }

  #end(task: RunningTask, ok: boolean): void {
    this.#running.delete(task)
    if (this.#running.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    const outcome = { ok, elapsedMs: this.#elapsed(task) }
    this.#draw(`${finishedLine(task.title, outcome, this.#around.colour)}\n`)
  }

  /** Takes the running tasks off the screen, writes `above`, and draws them again below it. */
  #draw(above: string): void {
    const erase = this.#drawnLines === 0 ? '' : `\x1b[${this.#drawnLines}A\r\x1b[0J`
    const columns = this.#around.columns()
    this.#frame = (this.#frame + 1) % FRAMES.length
    const lines = [...this.#running].map(
      (task) => `${truncate(printable(this.#line(task)), columns - 1)}\n`,
    )
    this.#drawnLines = lines.length
    this.#around.write(erase + printable(above) + lines.join(''))
  }

  #line(task: RunningTask): string {
    const elapsedMs = this.#elapsed(task)
    const progress =
      task.progress === undefined
        ? formatDuration(elapsedMs)
        : renderProgress({ ...task.progress, elapsedMs })
    const parts = [`${FRAMES[this.#frame]} ${task.title}`, task.text, progress]
    return parts.filter((part) => part !== '').join('  ')
  }

  #elapsed(task: RunningTask): number {
    return this.#around.clock.monotonic() - task.startedAtMs
  }
}
