/**
 * Commands of Barman that Backstay does not have yet: they fail and say so.
 */
import type { BarmanContext } from '../context.ts'

/** The action of a command called `name`; `instead` says what to do. */
export function notYet(
  name: string,
  instead: string,
): { run(context: BarmanContext): Promise<void> } {
  return {
    run({ output }) {
      output.error(`"barman ${name}" is not supported yet\nHINT: ${instead}`)
      return Promise.resolve()
    },
  }
}
