/**
 * Checks servers.
 */
import { checkServer } from '../check/check-server.ts'
import { type CheckedServer, checkJson, checkText, isBad, nagiosText } from '../check/strategy.ts'
import type { BarmanContext } from '../context.ts'
import { severalServers } from '../server/chosen-servers.ts'

/** Exit code 1 when something is wrong with an active server, 2 with --nagios. */
export async function run(context: BarmanContext): Promise<void> {
  const { output, options } = context
  const isNagios = options.nagios === true
  const checked: CheckedServer[] = []
  for (const server of severalServers(context, { inactive: true, disabled: true })) {
    const seconds = options.checkTimeout ?? server.checkTimeoutSeconds
    const result = await checkServer(context, server, seconds)
    checked.push(result)
    if (isNagios) continue
    for (const notice of server.notices) output.warning(`${server.name}: ${notice}`)
    output.lines(...checkText(result))
    output.data(server.name, checkJson(result))
  }
  if (isNagios) {
    const { lines, exitCode } = nagiosText(checked)
    output.lines(...lines)
    output.exitCode = Math.max(output.exitCode, exitCode)
  } else if (checked.some(isBad)) {
    output.exitCode = 1
  }
}
