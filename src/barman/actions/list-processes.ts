/**
 * Lists what works for a server at the moment.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import type { BarmanContext } from '../context.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { pidOfTask, TASK_LOCKS } from '../server/receiver-process.ts'

/** Names and pids of tasks that run. @throws {BackstayError} STORE */
export async function run(context: BarmanContext): Promise<void> {
  const { output } = context
  const server = oneServer(context, { inactive: true })
  if (server === undefined) return
  const running: { name: string; pid: number }[] = []
  for (const name of tasksOf(server)) {
    const pid = await pidOfTask(context, server, name)
    if (pid !== undefined) running.push({ name, pid })
  }
  output.data(server.name, running)
  if (running.length === 0) {
    output.lines(`No active subprocesses found for server ${server.name}.`)
  } else {
    output.lines(
      `Active subprocesses for server ${server.name}:`,
      ...running.map(({ name, pid }) => `${pid} ${name}`),
    )
  }
}

/** A passive server is copied to, the others are backed up; both have cron. */
function tasksOf({ isPassive }: BarmanServer): string[] {
  return Object.keys(TASK_LOCKS).filter(
    (name) => name === 'cron' || name.startsWith('sync-') === isPassive,
  )
}
