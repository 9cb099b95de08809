/**
 * Lists the servers of the configuration.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import type { BarmanContext } from '../context.ts'

/** Never fails: it only says what the configuration says. */
export function run({ config, output, options }: BarmanContext): Promise<void> {
  for (const server of config.servers) {
    output.data(server.name, { description: server.description ?? '' })
    if (options.minimal === true) output.lines(server.name)
    else output.lines(lineOf(server))
  }
  return Promise.resolve()
}

function lineOf(server: BarmanServer): string {
  const text = `${server.description ?? ''}${suffixOf(server)}`
  return text === '' ? server.name : `${server.name} - ${text}`
}

function suffixOf(server: BarmanServer): string {
  if (server.problems.length > 0) return ' (WARNING: disabled)'
  if (!server.active) return ' (inactive)'
  return server.isPassive ? ' (Passive)' : ''
}
