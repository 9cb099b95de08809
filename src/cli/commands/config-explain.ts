/**
 * `backstay config explain`: where each value comes from.
 */
import { explain, type Explained } from '../../config/explain.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { type Column, renderTable } from '../output/table.ts'

export default defineCommand({
  description:
    'Lists every key with its value: the line of the file that says it, or "default". A dash is no value.',
  needs: { config: true },
  examples: ['backstay config explain'],
  run,
})

/** Explains the cluster file. @throws CONFIG_MISSING, CONFIG_INVALID */
async function run(context: CommandContext): Promise<CommandResult> {
  const cluster = await context.config()
  const values = explain(cluster)
  const columns: readonly Column<Explained>[] = [
    { title: 'key', value: ({ key }) => key },
    { title: 'value', value: ({ written }) => show(written), shrinks: true },
    {
      title: 'from',
      value: ({ line }) => (line === null ? 'default' : `${cluster.file}:${line}`),
    },
  ]
  return {
    data: { file: cluster.path, values },
    text: () => renderTable(columns, values, context.output.columns),
  }
}

function show(value: unknown): string {
  if (value === null) return '-'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
