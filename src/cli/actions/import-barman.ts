/**
 * Brings what Barman has kept into a repository.
 */
import { availableParallelism } from 'node:os'
import { becomeUser } from '../../barman/become-user.ts'
import { type BarmanPlace, placeOfServer, standardPlace } from '../../barman/import/barman-place.ts'
import { importServer } from '../../barman/import/import-server.ts'
import { isIncomplete, type ServerImportResult } from '../../barman/import/server-import.ts'
import { connectionOf } from '../../barman/server/connections.ts'
import { clusterNameOf, repositoryDirectory } from '../../barman/server/place.ts'
import { loadBarmanConfig } from '../../config/barman/load.ts'
import type { BarmanConfig, BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { DiskStore } from '../../store/disk-store.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/import-barman.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { becomeRepositoryOwner } from '../session/repository-owner.ts'
import { readVersion } from '../version.ts'
import { importJson, importText } from './import-result.ts'
import { absolute, walPlace } from './wal-place.ts'

type Context = CommandContext<typeof OPTIONS, typeof ARGUMENTS>

const MOST_JOBS = 8
const PARTIAL_EXIT_CODE = 3

/** One server to import and where it goes. */
interface Wish {
  readonly place: BarmanPlace
  readonly repository: string
  readonly cluster: string
  readonly address: { readonly host: string; readonly port: number }
}

/** @throws {BackstayError} USAGE, CONFIG_MISSING, HOST_PRIVILEGE, REPOSITORY_LOCKED, POSTGRES_IDENTITY, DISK_SPACE, … */
export async function run(context: Context): Promise<CommandResult> {
  const { dryRun } = context.options
  const wishes = await wishesOf(context)
  const results: ServerImportResult[] = []
  for (const wish of wishes) results.push(await importOne(context, wish))
  return {
    data: { dryRun, servers: results.map(importJson) },
    text: () => results.map((result) => importText(result, context.output.columns)).join('\n'),
    exitCode: results.some(isIncomplete) ? PARTIAL_EXIT_CODE : 0,
  }
}

async function importOne(context: Context, wish: Wish): Promise<ServerImportResult> {
  const { output, options, clock, signal } = context
  const { place, repository, cluster, address } = wish
  return await importServer({
    place,
    store: new DiskStore(repository),
    cluster,
    clock,
    address,
    createdBy: `backstay ${readVersion()} from Barman`,
    isDryRun: options.dryRun,
    workers: options.jobs ?? Math.min(MOST_JOBS, availableParallelism()),
    signal,
    report: {
      step: async (title, work) =>
        output.tasks.task(`${place.name}: ${title}`, async (task) =>
          work((doneBytes, totalBytes) => task.progress(doneBytes, totalBytes)),
        ),
    },
  })
}

async function wishesOf(context: Context): Promise<Wish[]> {
  const { options } = context
  if (options.from !== undefined) return [await wishOfDirectory(context, options.from)]
  const config = await loadBarmanConfig({
    file: options.barmanConfig,
    environmentFile: context.environment['BARMAN_CONFIG_FILE'],
    home: context.environment['HOME'],
  })
  const servers = chosenServers(context, config)
  if (options.cluster !== undefined && servers.length > 1) {
    throw new BackstayError('USAGE', 'Cannot import several servers into one --cluster', {
      hint: 'Name one server.',
    })
  }
  const repository =
    options.repository === undefined
      ? repositoryDirectory(config.barmanHome)
      : absolute(context, options.repository)
  if (options.repository === undefined) await becomeUser(config.barmanUser)
  else await becomeRepositoryOwner(repository)
  return servers.map((server) => ({
    place: placeOfServer(server),
    repository,
    cluster: options.cluster ?? clusterNameOf(server.name),
    address: addressOf(context, server),
  }))
}

async function wishOfDirectory(context: Context, from: string): Promise<Wish> {
  if (context.arguments.servers.length > 0) {
    throw new BackstayError('USAGE', 'Cannot take names of servers with --from: it names one')
  }
  const { repositoryDirectory: repository, cluster } = await walPlace(context)
  await becomeRepositoryOwner(repository)
  const place = standardPlace(absolute(context, from))
  return { place, repository, cluster, address: { host: 'unknown', port: 0 } }
}

function chosenServers(
  { arguments: { servers: names } }: Context,
  config: BarmanConfig,
): BarmanServer[] {
  if (names.length === 0) return [...config.servers]
  return names.map((name) => {
    const server = config.servers.find((each) => each.name === name)
    if (server !== undefined) return server
    const known = config.servers.map((each) => `"${each.name}"`).join(', ')
    throw new BackstayError('USAGE', `Cannot import "${name}": the servers are ${known}`)
  })
}

/** Where the server is, as far as the configuration says it. */
function addressOf({ environment }: Context, server: BarmanServer): Wish['address'] {
  if (server.conninfo === undefined) return { host: 'unknown', port: 0 }
  const { host, port } = connectionOf(server.conninfo, environment)
  return { host, port }
}
