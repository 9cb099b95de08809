/**
 * What a command may say while it works, and how wide and how colourful. Its result goes through
 * CommandResult.
 */
import { printable } from '../../errors/printable.ts'
import type { Clock } from '../../util/clock.ts'
import type { Environment } from '../../util/environment.ts'
import type { GlobalValues } from '../global-options.ts'
import { type Colour, makeColour, wantsColour } from './colour.ts'
import { plainTasks, silentTasks, type TaskReporter, type TaskSurroundings } from './tasks.ts'

/** The way out for everything a command says. */
export interface Output {
  readonly isJson: boolean
  /** Whether text goes to a terminal. */
  readonly isTerminal: boolean
  /** Width to fit tables into; undefined in a pipe, where nothing is cut. */
  readonly columns: number | undefined
  readonly colour: Colour
  readonly tasks: TaskReporter
  /**
   * Writes text at once, for commands that stay (`demo`, `status --watch`); nothing with --json.
   */
  write(text: string): void
}

/** What output depends on. */
export interface OutputSurroundings {
  /** `isTTY` is left out for pipes and files. */
  readonly stdout: Pick<NodeJS.WriteStream, 'write' | 'columns'> & { readonly isTTY?: boolean }
  readonly environment: Environment
  readonly clock: Clock
  readonly globals: GlobalValues
}

/** Makes the output of one command. */
export async function makeOutput(around: OutputSurroundings): Promise<Output> {
  const { stdout, environment, clock, globals } = around
  const isTerminal = stdout.isTTY === true
  const colour = makeColour(wantsColour(stdout, environment, globals.noColor))
  const draw = (text: string): void => {
    if (!globals.json) stdout.write(text)
  }
  const write = (text: string): void => draw(printable(text))
  return {
    isJson: globals.json,
    isTerminal,
    columns: isTerminal ? stdout.columns : undefined,
    colour,
    tasks: await makeTasks({ write, clock, colour }, { ...around, draw }),
    write,
  }
}

/** The live task list is loaded only for a terminal. */
async function makeTasks(
  tasks: TaskSurroundings,
  {
    stdout,
    environment,
    globals,
    draw,
  }: OutputSurroundings & { readonly draw: (text: string) => void },
): Promise<TaskReporter> {
  if (globals.json || globals.quiet) return silentTasks
  if (stdout.isTTY !== true || environment['TERM'] === 'dumb') return plainTasks(tasks)
  const { TerminalTasks } = await import('./terminal-tasks.ts')
  return new TerminalTasks({ ...tasks, write: draw, columns: () => stdout.columns })
}
