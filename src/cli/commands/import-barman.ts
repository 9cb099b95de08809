/**
 * `backstay import barman`: brings in what Barman has kept.
 */
import { becomeUser } from '../../barman/become-user.ts'
import {
  type BarmanPlace,
  allDirectories,
  placeOfServer,
  standardPlace,
} from '../../barman/import/barman-place.ts'
import { importServer } from '../../barman/import/import-server.ts'
import { isIncomplete, type ServerImportResult } from '../../barman/import/server-import.ts'
import { connectionOf } from '../../barman/server/connections.ts'
import { clusterNameOf, repositoryDirectory } from '../../barman/server/barman-place.ts'
import { completeConfig } from '../../config/barman/load.ts'
import { type MainFile, readMainFile } from '../../config/barman/main-file.ts'
import type { BarmanConfig, BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { storeAt } from '../../store/address.ts'
import { findDistrust } from '../../util/trusted-path.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { becomeRepositoryOwner } from '../session/repository-owner.ts'
import { absolute, walPlace } from '../session/wal-place.ts'
import { importJson, importText } from '../text/import-result.ts'
import { readVersion } from '../version.ts'
import { availableParallelism } from 'node:os'

const ARGUMENTS = [
  {
    name: 'servers',
    help: 'Servers of the configuration (default: all)',
    optional: true,
    rest: true,
  },
] as const satisfies readonly ArgumentSpec[]

const OPTIONS = {
  repository: {
    type: 'string',
    value: 'DIR',
    help: "Import into this repository (default: that of Backstay's barman)",
  },
  cluster: {
    type: 'string',
    value: 'NAME',
    help: "Cluster in the repository (default: the server's name)",
  },
  barmanConfig: {
    type: 'string',
    value: 'FILE',
    help: "Barman's configuration (default: where Barman looks for it)",
  },
  from: {
    type: 'string',
    value: 'DIR',
    help: 'The directory of one server in a Barman home; no configuration of Barman is read',
  },
  dryRun: { type: 'flag', help: 'Say what would be imported, and change nothing' },
  jobs: { type: 'int', value: 'N', min: 1, max: 64, help: 'Compression threads' },
} as const satisfies OptionSpecs

export default defineCommand({
  description:
    'Backups keep their ids, names and keep marks. What Barman has is only read. The command can be run again: what is there ' +
    "already stays. Without --repository and --cluster the destination is where Backstay's barman looks: BARMAN_HOME/backstay, " +
    "each server under its own name; with --from it is the cluster file's repository.",
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: [
    'PARTIAL',
    'REPOSITORY_LOCKED',
    'POSTGRES_IDENTITY',
    'DISK_SPACE',
    'HOST_PRIVILEGE',
    'DIRECTORY_OWNER',
  ],
  examples: [
    'backstay import barman --dry-run',
    'backstay import barman main',
    'backstay import barman --from /mnt/old/barman/main --repository /var/lib/backstay --cluster shop',
  ],
  run,
})

type ImportContext = CommandContext<typeof OPTIONS, typeof ARGUMENTS>

const MOST_JOBS = 8
const PARTIAL_EXIT_CODE = 3

/** One server to import and where it goes. */
interface Wish {
  readonly place: BarmanPlace
  readonly repository: string
  readonly cluster: string
  readonly address: { readonly host: string; readonly port: number }
}

/**
 * @throws {BackstayError} USAGE, CONFIG_MISSING, DIRECTORY_OWNER, HOST_PRIVILEGE,
 * REPOSITORY_LOCKED, POSTGRES_IDENTITY, DISK_SPACE, …
 */
async function run(context: ImportContext): Promise<CommandResult> {
  const { dryRun } = context.options
  const wishes = await wishesOf(context)
  // What stands against one of several is found before the first of them is taken.
  if (!dryRun && wishes.length > 1) {
    for (const wish of wishes) await importOne(context, wish, true)
  }
  const results: ServerImportResult[] = []
  for (const wish of wishes) results.push(await importOne(context, wish, dryRun))
  return {
    data: { dryRun, servers: results.map(importJson) },
    text: () => results.map((result) => importText(result, context.output.columns)).join('\n'),
    exitCode: results.some(isIncomplete) ? PARTIAL_EXIT_CODE : 0,
  }
}

async function importOne(
  context: ImportContext,
  wish: Wish,
  isDryRun: boolean,
): Promise<ServerImportResult> {
  const { output, options, clock, signal } = context
  const { place, repository, cluster, address } = wish
  return await importServer({
    place,
    store: storeAt(repository),
    cluster,
    clock,
    address,
    createdBy: `backstay ${readVersion()} from Barman`,
    isDryRun,
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

async function wishesOf(context: ImportContext): Promise<Wish[]> {
  const { options, environment } = context
  if (options.from !== undefined) return [await wishOfDirectory(context, options.from)]
  const main = await readMainFile({
    file: options.barmanConfig,
    environmentFile: environment['BARMAN_CONFIG_FILE'],
    home: environment['HOME'],
    sudoUid: environment['SUDO_UID'],
  })
  const named = options.repository
  const repository =
    named === undefined ? repositoryDirectory(main.barmanHome) : absolute(context, named)
  if (named === undefined) await becomeUser(main.barmanUser)
  else await becomeRepositoryOwner(repository)
  const config = await completeConfig(main)
  const servers = chosenServers(context, config)
  if (options.cluster !== undefined && servers.length > 1) {
    throw new BackstayError('USAGE', 'Cannot import several servers into one --cluster', {
      hint: 'Name one server.',
    })
  }
  const filters = await writtenFilters(main)
  return servers.map((server) => ({
    place: readable(context, placeOfServer(server, filters.get(server.name)), repository),
    repository,
    cluster: options.cluster ?? clusterNameOf(server.name),
    address: addressOf(context, server),
  }))
}

/**
 * Server → its custom_decompression_filter as the operator's own files say it. What config-update
 * and config-switch have written is barman's user's, and who imports, into a repository of his own,
 * is another user perhaps.
 */
async function writtenFilters(main: MainFile): Promise<ReadonlyMap<string, string | undefined>> {
  const { servers } = await completeConfig(main, { isLeftOut: true })
  return new Map(
    servers.map(({ name, options }) => [name, options.get('custom_decompression_filter')]),
  )
}

async function wishOfDirectory(context: ImportContext, from: string): Promise<Wish> {
  if (context.arguments.servers.length > 0) {
    throw new BackstayError('USAGE', 'Cannot take names of servers with --from: it names one')
  }
  const { repositoryDirectory: repository, cluster } = await walPlace(context)
  await becomeRepositoryOwner(repository)
  const place = readable(context, standardPlace(absolute(context, from)), repository)
  return { place, repository, cluster, address: { host: 'unknown', port: 0 } }
}

/**
 * The place. What lies in the hands of barman's user is not read as root: between two looks a file
 * can become a link to any other.
 * @throws {BackstayError} DIRECTORY_OWNER
 */
function readable(context: ImportContext, place: BarmanPlace, repository: string): BarmanPlace {
  if (process.getuid?.() !== 0) return place
  for (const path of allDirectories(place)) {
    const found = findDistrust(path, context.trusted)
    if (found === undefined) continue
    throw new BackstayError(
      'DIRECTORY_OWNER',
      `Cannot import "${place.name}" as root: "${found.path}" ${found.why}`,
      {
        hint: `The import goes on as the user the repository belongs to: give "${repository}" to one who reads Barman's files (chown -R) and Backstay's. Or give a copy of Barman's files to root.`,
        details: { path, found: found.path, repository },
      },
    )
  }
  return place
}

function chosenServers(
  { arguments: { servers: names } }: ImportContext,
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
function addressOf({ environment }: ImportContext, server: BarmanServer): Wish['address'] {
  if (server.conninfo === undefined) return { host: 'unknown', port: 0 }
  const { host, port } = connectionOf(server.conninfo, environment)
  return { host, port }
}
