/**
 * `backstay config check`: whether the cluster file can be used.
 */
import type { ServerWanted } from '../../cluster/wanted.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { type Column, renderTable } from '../output/table.ts'

export default defineCommand({
  description:
    'Reads the cluster file and prints a summary, or every problem as file:line:col. Connects to nothing.',
  needs: { config: true },
  examples: [
    'backstay config check',
    'backstay config check -c /etc/backstay/backstay.yaml --json',
  ],
  run,
})

const COLUMNS: readonly Column<ServerWanted>[] = [
  { title: 'server', value: ({ name }) => name },
  { title: 'role', value: ({ role }) => role },
  { title: 'host', value: ({ host }) => host.address },
  { title: 'reached', value: ({ host }) => (host.local ? 'directly' : 'ssh') },
  { title: 'port', value: ({ port }) => String(port), align: 'right' },
  { title: 'directory', value: ({ directory }) => directory, shrinks: true },
]

/** Reads the cluster file. @throws CONFIG_MISSING, CONFIG_INVALID */
async function run(context: CommandContext): Promise<CommandResult> {
  const { path, file, wanted } = await context.config()
  const { backup } = wanted
  const backupLine =
    backup === undefined
      ? 'No backup server.'
      : `Backup server "${backup.name}" on ${backup.host.address}, repository ${backup.repository}.`
  return {
    data: {
      file: path,
      cluster: wanted.name,
      postgres: wanted.postgres.version,
      servers: wanted.servers,
      backup: backup ?? null,
    },
    text: () =>
      [
        `"${file}" is right: cluster "${wanted.name}", PostgreSQL ${wanted.postgres.version}.\n`,
        renderTable(COLUMNS, wanted.servers, context.output.columns),
        backupLine,
      ].join('\n'),
  }
}
