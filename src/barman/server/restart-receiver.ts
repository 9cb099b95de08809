/**
 * Has a server's receiver begin again, so that it sees a changed configuration.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import type { BarmanContext } from '../context.ts'
import { pidOfTask, startDetached, stopTask } from './receiver-process.ts'

const TASK = 'receive-wal'

/** Stops the one that runs and starts one if the server is to have one. */
export async function restartReceiver(context: BarmanContext, server: BarmanServer): Promise<void> {
  const { output } = context
  const pid = await pidOfTask(context, server, TASK)
  if (pid !== undefined) {
    if (!(await stopTask(context, server, TASK))) {
      return output.error(`Cannot terminate process ${TASK}(${pid})`)
    }
    output.info(`Stopped process ${TASK}(${pid})`)
  }
  if (!server.streamingArchiver || !server.active || server.problems.length > 0) return
  output.info(`Starting streaming archiver for server ${server.name}`)
  startDetached(context, [TASK, server.name])
}
