/**
 * Makes a model active for a server, or none.
 */
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { loadBarmanConfig } from '../../config/barman/load.ts'
import type { BarmanServer } from '../../config/barman/model.ts'
import { activeModelFile } from '../../config/barman/state-files.ts'
import { replaceFile } from '../../host/local-files.ts'
import { syncDirectory } from '../../util/sync-directory.ts'
import type { BarmanContext } from '../context.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { restartReceiver } from '../server/restart-receiver.ts'

/**
 * @throws {BackstayError} CONFIG_INVALID when the configuration cannot be read with the model;
 * errno errors of the server's directory.
 */
export async function run(context: BarmanContext): Promise<void> {
  const { output, options, words } = context
  // Barman passes over a model beside --reset.
  const model = options.reset === true ? undefined : words[1]
  if (model === undefined && options.reset !== true) {
    return output.error("Either a model name or '--reset' flag need to be given")
  }
  const server = oneServer(context, { inactive: true, disabled: true })
  if (server === undefined) return
  const changed =
    model === undefined ? await reset(context, server) : await apply(context, server, model)
  if (changed !== undefined) await restartReceiver(context, changed)
}

/** The server as it is afterwards; undefined when it was said why not. */
async function apply(
  context: BarmanContext,
  server: BarmanServer,
  name: string,
): Promise<BarmanServer | undefined> {
  const { output, config } = context
  const model = config.models.find((each) => each.name === name)
  if (model === undefined) {
    output.error(`Unknown model '${name}'`)
    return undefined
  }
  const cluster = server.options.get('cluster') ?? server.name
  if (model.cluster !== cluster) {
    output.error(
      `Model '${name}' has 'cluster=${model.cluster ?? 'None'}', which is not compatible with 'cluster=${cluster}' from server '${server.name}'`,
    )
    return undefined
  }
  if (server.activeModel === name) {
    output.info(`Model '${name}' is already active for server '${server.name}', skipping...`)
    return server
  }
  const changed = await serverWith(context, server, name)
  output.info(`Applying model '${name}' to server '${server.name}'`)
  for (const key of [...model.options.keys()].sort()) {
    const [from, to] = [server.options.get(key) ?? 'None', changed.options.get(key) ?? 'None']
    if (from === to) continue
    output.info(
      `Changing value of option '${key}' for server '${server.name}' from '${from}' to '${to}' through the model '${name}'`,
    )
  }
  await mkdir(server.backupDirectory, { recursive: true, mode: 0o700 })
  const file = activeModelFile(server.backupDirectory)
  await replaceFile(file, name, { mode: 0o600, owner: undefined })
  return changed
}

async function reset(context: BarmanContext, server: BarmanServer): Promise<BarmanServer> {
  context.output.info(`Resetting the active model for the server ${server.name}`)
  const file = activeModelFile(server.backupDirectory)
  // A file that holds no name makes no model active, and goes as well.
  if (!existsSync(file)) return server
  await rm(file)
  await syncDirectory(server.backupDirectory)
  return await serverWith(context, server, undefined)
}

/**
 * The server as the configuration makes it with `model`; nothing was written yet when that fails.
 */
async function serverWith(
  { config, environment }: BarmanContext,
  server: BarmanServer,
  model: string | undefined,
): Promise<BarmanServer> {
  const places = { file: config.file, environmentFile: undefined, home: environment['HOME'] }
  const wishedModels = new Map([[server.name, model]])
  const again = await loadBarmanConfig(places, { wishedModels })
  return again.servers.find(({ name }) => name === server.name) ?? server
}
