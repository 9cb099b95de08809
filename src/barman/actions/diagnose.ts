/**
 * Everything about this Barman in one JSON object, for support.
 */
import { release, type } from 'node:os'
import type { BarmanContext } from '../context.ts'
import { backupsOf } from '../server/backups.ts'
import { describedServer } from '../server/described.ts'
import { lookAtServer } from '../server/look-server.ts'
import type { Json } from '../output/python-json.ts'
import { redact } from '../../errors/redact.ts'

/** Servers that do not answer are in it with the error. */
export async function run(context: BarmanContext): Promise<void> {
  const { config, output } = context
  const servers: Record<string, Json> = {}
  for (const server of config.servers) {
    const look = await lookAtServer(context, server, context.signal)
    const backups = await backupsOf(context, server)
    const options = [...server.options].map(([key, text]): [string, Json] => [key, shown(text)])
    servers[server.name] = {
      active_model: server.activeModel ?? null,
      backups: Object.fromEntries(
        backups.map(({ info }) => [info.id, { status: 'DONE', type: info.type }]),
      ),
      config: Object.fromEntries(options),
      msg_list: server.problems,
      notices: server.notices,
      status: Object.fromEntries(
        describedServer(server, look).map(([key, value]) => [key, shown(value)]),
      ),
    }
  }
  const all = {
    global: {
      config: { barman_home: config.barmanHome, barman_user: config.barmanUser },
      system_info: {
        barman_ver: context.createdBy,
        kernel_ver: `${type()} ${release()}`,
        node_ver: process.version,
        timestamp: new Date(context.clock.now()).toISOString(),
      },
    },
    models: Object.fromEntries(
      config.models.map(({ name, cluster, options: own }) => [
        name,
        {
          cluster: cluster ?? null,
          ...Object.fromEntries([...own].map(([key, { text }]) => [key, shown(text)])),
        },
      ]),
    ),
    servers,
  }
  // One object on either format, as Barman prints it.
  for (const [key, value] of Object.entries(all)) output.data(key, value)
  output.lines(JSON.stringify(all, undefined, 4))
}

function shown(text: string | undefined): string | null {
  return text === undefined ? null : redact(text)
}
