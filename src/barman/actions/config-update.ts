/**
 * Sets options for good, from changes given as JSON. They go into a file of their own that is read
 * last; the operator's files are never edited.
 */
import { join } from 'node:path'
import { readChanges, type SectionChange, withChanges } from '../../config/barman/changes.ts'
import { autoFile, readState } from '../../config/barman/state-files.ts'
import { replaceFile } from '../../host/local-files.ts'
import { acquireProcessLock } from '../../host/process-lock.ts'
import type { BarmanContext } from '../context.ts'
import { restartReceiver } from '../server/restart-receiver.ts'

/**
 * @throws {BackstayError} REPOSITORY_LOCKED while another one runs, CONFIG_INVALID; errno errors of
 * barman_home.
 */
export async function run(context: BarmanContext): Promise<void> {
  const { output, config, clock, words } = context
  const read = readChanges(words[0] ?? '', config)
  if ('errors' in read) {
    for (const error of read.errors) output.error(error)
    return
  }
  const file = autoFile(config.barmanHome)
  {
    const lock = { purpose: 'barman config-update', clock }
    await using _lock = await acquireProcessLock(
      join(config.barmanHome, '.config-update.lock'),
      lock,
    )
    const before = (await readState(file)) ?? ''
    await replaceFile(file, withChanges(before, file, read), { mode: 0o600, owner: undefined })
  }
  for (const change of read) say(context, change)
  const names = new Set(read.map(({ name }) => name))
  for (const server of config.servers) {
    const isTouched = names.has(server.name) || names.has(server.activeModel ?? '')
    if (isTouched) await restartReceiver(context, server)
  }
}

function say({ output, config }: BarmanContext, { name, options }: SectionChange): void {
  const server = config.servers.find((each) => each.name === name)
  const model = config.models.find((each) => each.name === name)
  for (const [key, to] of options) {
    const from = server?.options.get(key) ?? model?.options.get(key)?.text ?? 'None'
    output.info(
      `Changing value of option '${key}' for section '${name}' from '${from}' to '${to}' through config-update.`,
    )
  }
}
