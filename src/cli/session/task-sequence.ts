/**
 * Tasks that follow each other: each ends when the next one begins.
 */
import type { TaskHandle, TaskReporter } from '../output/tasks.ts'

/** The line of tasks, of which the last runs. */
export interface TaskSequence {
  /** Ends the one before, well. */
  begin(title: string): void
  /** Of the one that runs; undefined before the first. */
  readonly handle: TaskHandle | undefined
}

/** Runs `work`; the task that runs when it ends, ends as it does. */
export async function inSequence<T>(
  tasks: TaskReporter,
  work: (sequence: TaskSequence) => Promise<T>,
): Promise<T> {
  let handle: TaskHandle | undefined
  let running: PromiseWithResolvers<void> | undefined
  let told: Promise<void> = Promise.resolve()
  const begin = (title: string): void => {
    running?.resolve()
    const end = (running = Promise.withResolvers<void>())
    told = tasks.task(title, async (task) => {
      handle = task
      await end.promise
    })
    // The failure itself is thrown by the work; here it only ends the line.
    told.catch(() => {})
  }
  try {
    const value = await work({
      begin,
      get handle() {
        return handle
      },
    })
    running?.resolve()
    await told
    return value
  } catch (error) {
    running?.reject(error)
    await told.catch(() => {})
    throw error
  }
}
