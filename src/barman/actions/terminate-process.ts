/**
 * Stops what works for a server.
 */
import type { BarmanContext } from '../context.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { pidOfTask, stopTask } from '../server/receiver-process.ts'

/**
 * Stops the task that was named; one that does not run is an error.
 * @throws {BackstayError} STORE
 */
export async function run(context: BarmanContext): Promise<void> {
  const { output, words } = context
  const server = oneServer(context, { inactive: true })
  if (server === undefined) return
  const task = words[1] ?? ''
  const pid = await pidOfTask(context, server, task)
  if (pid === undefined) {
    return output.error(`Termination of ${task} failed: no such process for server ${server.name}`)
  }
  if (await stopTask(context, server, task)) output.info(`Stopped process ${task}(${pid})`)
  else output.error(`Cannot terminate process ${task}(${pid})`)
}
