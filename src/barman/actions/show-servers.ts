/**
 * Shows what is configured and known of servers. Passwords in connection strings are left out, on
 * the console and in JSON.
 */
import type { BarmanContext } from '../context.ts'
import { describedServer } from '../server/described.ts'
import { lookAtServer } from '../server/look-server.ts'
import { severalServers } from '../server/chosen-servers.ts'

/** A server that does not answer is shown with the error. */
export async function run(context: BarmanContext): Promise<void> {
  const { output } = context
  for (const server of severalServers(context, { inactive: true, disabled: true })) {
    const rows = describedServer(server, await lookAtServer(context, server, context.signal))
    output.lines(`Server ${server.name}:`, ...rows.map(([key, value]) => `\t${key}: ${value}`))
    output.data(server.name, Object.fromEntries(rows))
  }
}
