/**
 * Has Backstay on the standby's machine clone straight from the primary: gives the order, shows
 * that somebody waits, passes the progress on. The clone over there ends when this process does.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { readErrorJson } from '../../errors/render.ts'
import type { HostCommandResult, Host } from '../../host/host.ts'
import { lastLines } from '../../host/run-checked.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import { replicationPassword } from '../../cluster/look/connect.ts'
import { runOrdered } from '../../fleet/order-line.ts'
import type { CloneOrder } from './clone-order.ts'
import { cloneCommand } from '../../cluster/clone-process.ts'
import { noAnswer } from './reach-primary.ts'
import { parseProgress, type RemoteOrder } from './remote-order.ts'

/**
 * Clones with the Backstay that `command` starts there.
 * @throws what the clone there throws, under its own code; HOST_UNREACHABLE when the connection is
 * lost, HOST_COMMAND when the process there was ended.
 */
export async function cloneThere(
  context: ClusterContext,
  order: CloneOrder,
  command: readonly string[],
): Promise<void> {
  const { host, osUser: owner } = await context.machineOf(order.server)
  const { wanted, signal } = context
  const server = order.server.name
  const line: RemoteOrder = {
    machine: host.name,
    wanted,
    server,
    primary: order.primary.name,
    owner,
    password: await replicationPassword(context),
  }
  const hear = (text: string): void => {
    const progress = parseProgress(text)
    if (progress === undefined) return
    const { doneBytes, totalBytes } = progress
    context.report({ kind: 'clone-progress', server, doneBytes, totalBytes })
  }
  const words = [...command, ...cloneCommand(order.server.directory)]
  const result = await runOrdered(host, words, { order: line, hear, signal })
  if (result.exitCode !== 0) throw failure(host, order, result)
}

function failure(host: Host, order: CloneOrder, result: HostCommandResult): BackstayError {
  const error = readErrorJson(result.stderr)
  if (error?.code === 'POSTGRES_UNREACHABLE') return noAnswer(host, order, error)
  if (error !== undefined && error.code !== 'INTERRUPTED') return error
  const said = error?.message ?? (lastLines(result.stderr, 3) || `exit code ${result.exitCode}`)
  return new BackstayError(
    'HOST_COMMAND',
    `Cannot clone to server "${order.server.name}": Backstay on "${host.name}" was ended: ${said}`,
    { hint: 'Run the command again: it goes on.', details: { host: host.name } },
  )
}
