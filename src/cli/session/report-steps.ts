/**
 * What happens to a cluster, told as tasks: one for each step, with what it is waiting for and how
 * far a clone is.
 */
import type { ClusterEvent } from '../../cluster/context.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { TaskHandle, TaskReporter } from '../output/tasks.ts'

interface RunningStep {
  readonly server: string | undefined
  readonly handle: TaskHandle
  readonly end: PromiseWithResolvers<void>
}

/** A listener for ClusterContext that shows every step as a task. */
export function reportSteps(tasks: TaskReporter): (event: ClusterEvent) => void {
  const running = new Map<string, RunningStep>()
  const start = (id: string, server: string | undefined, title: string): void => {
    const end = Promise.withResolvers<void>()
    const name = server === undefined ? title : `${server}: ${title}`
    const told = tasks.task(name, async (handle) => {
      running.set(id, { server, handle, end })
      await end.promise
    })
    // The failure itself is thrown by the operation; here it only ends the line.
    told.catch(() => {})
  }
  const finish = (id: string): RunningStep | undefined => {
    const step = running.get(id)
    running.delete(id)
    return step
  }
  const each = (server: string, tell: (handle: TaskHandle) => void): void => {
    for (const step of running.values()) if (step.server === server) tell(step.handle)
  }
  return (event) => {
    switch (event.kind) {
      case 'step-started':
        return start(event.id, event.server, event.title)
      case 'step-done':
        return finish(event.id)?.end.resolve()
      case 'step-failed':
        return finish(event.id)?.end.reject(new BackstayError('FAILED', `${event.id} failed`))
      case 'clone-progress':
        return each(event.server, (handle) => handle.progress(event.doneBytes, event.totalBytes))
      case 'note':
        return tasks.note(`${event.server}: ${event.text}`)
      case 'waiting':
        return each(event.server, (handle) => handle.update(`waiting for ${event.what}`))
    }
  }
}
