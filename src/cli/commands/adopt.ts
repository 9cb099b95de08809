/**
 * `backstay adopt`: takes over a cluster that somebody else built.
 */
import { holdsData } from '../../build/adopt/holds-data.ts'
import { lookAdopted, type HostAndPort, type SeenData } from '../../build/adopt/look-adopted.ts'
import { rememberAdopted } from '../../build/adopt/remember.ts'
import type { AdoptedCluster } from '../../cluster/adopted.ts'
import { StateDirectory } from '../../cluster/state/state-directory.ts'
import { renderAdoptedFile } from '../../config/adopted-file.ts'
import { STATE_DIRECTORY } from '../../config/load.ts'
import { isThisMachine, thisMachine } from '../../config/machine.ts'
import { readCluster } from '../../config/read.ts'
import { checkTrusted, claimTrusted } from '../../config/trusted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { LocalHost } from '../../host/local-host.ts'
import { lookupPassword } from '../../postgres/passfile.ts'
import { writeNewFile } from '../../util/new-file.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { packageFile } from '../version.ts'
import { readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'

const ARGUMENTS = [
  { name: 'primary', help: 'HOST or HOST:PORT of the running primary' },
] as const satisfies readonly ArgumentSpec[]

const OPTIONS = {
  standby: {
    type: 'list',
    value: 'HOST[:PORT]',
    help: 'A standby on another port than the primary; the others are found',
  },
  user: { type: 'string', value: 'ROLE', default: 'postgres', help: 'A superuser' },
  passfile: {
    type: 'string',
    value: 'FILE',
    help: 'Where its password is, in .pgpass format (default: ~/.pgpass)',
  },
  dataDirectory: {
    type: 'list',
    value: 'DIR',
    help: 'A data directory outside /var/lib/postgresql and /var/lib/pgsql to believe a server',
  },
  cluster: { type: 'string', value: 'NAME', default: 'main', help: 'Name of the cluster' },
  backupHost: { type: 'string', value: 'HOST', help: 'Machine of a backup server to add' },
  repository: { type: 'string', value: 'DIR', help: 'Directory of its repository' },
  output: {
    type: 'string',
    value: 'FILE',
    default: 'backstay.yaml',
    help: 'The file to write; an existing one is not overwritten',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Reads the primary and the standbys it streams to, and writes a cluster file that says what is there. Changes nothing on the servers: backstay plan shows then what is missing.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: [
    'NOT_READY',
    'POSTGRES_UNREACHABLE',
    'POSTGRES_AUTH',
    'POSTGRES_IDENTITY',
    'DIRECTORY_FOREIGN',
    'CONFIG_INVALID',
    'PARTIAL',
  ],
  examples: [
    'backstay adopt 192.168.100.10',
    'backstay adopt 127.0.0.1:5433 --standby 127.0.0.1:5434',
  ],
  run,
})

const SCHEMA_FILE = 'docs/reference/backstay.schema.json'
const DEFAULT_PORT = 5432

/**
 * @throws USAGE, NOT_READY, CONFIG_INVALID, FAILED when the file is there already, what looking
 * throws
 */
async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const { options, workingDirectory, output, clock, signal } = context
  const path = resolve(workingDirectory, options.output)
  const file = relative(workingDirectory, path)
  checkTrusted(dirname(path), 'the directory of the cluster file', context.trusted)
  const passfile = await passfileOf(context)
  const primary = placeOf(context.arguments.primary)
  const standbys = options.standby.map(placeOf)
  const login = { user: options.user, signal, ...(passfile === undefined ? {} : { passfile }) }
  const dataDirectories = options.dataDirectory.map((path) => resolve(workingDirectory, path))
  const found = await output.tasks.task('Look at the servers', async () =>
    lookAdopted({ primary, standbys, login, dataDirectories, seesData }),
  )
  const { cluster, backupHost, repository } = options
  const schemaPath = packageFile(SCHEMA_FILE)
  const text = renderAdoptedFile({ cluster, found, backupHost, repository, schemaPath })
  const { wanted } = readCluster(text, { file, directory: dirname(path), machine: thisMachine() })
  const state = new StateDirectory(new LocalHost('localhost'), wanted.stateDirectory)
  claimTrusted(wanted.stateDirectory, STATE_DIRECTORY, context.trusted)
  const password = await passwordOf(passfile, { ...primary, user: options.user })
  await rememberAdopted(state, { cluster, found, clock }, password)
  await write(path, text)
  const notes = [...found.notes, ...(password === undefined ? [noPassword(state, found)] : [])]
  return {
    data: { file: path, cluster, servers: found.servers, notes },
    text: () =>
      [...describe(found), ...notes.map((note) => `note: ${note}`), next(file)].join('\n'),
    exitCode: notes.length === 0 ? 0 : 3,
  }
}

/** Only on this machine can it be looked at; what this process may not read is not seen. */
async function seesData({ host }: HostAndPort, data: SeenData): Promise<boolean> {
  if (!isThisMachine(host, thisMachine())) return false
  return await holdsData(new LocalHost('localhost'), data)
}

function describe({ servers, major }: AdoptedCluster): string[] {
  return servers.map(
    ({ name, isPrimary, host, port, directory }) =>
      `${name}: ${isPrimary ? 'primary' : 'standby'}, PostgreSQL ${major} at ${host}:${port}, ${directory}`,
  )
}

function next(file: string): string {
  const option = file === 'backstay.yaml' ? '' : ` -c ${file}`
  return `Wrote "${file}". Next: look it over, then "backstay plan${option}": nothing was changed on the servers`
}

function noPassword(state: StateDirectory, { superuser }: AdoptedCluster): string {
  return `no password of "${superuser}" was needed to log in; give the role one, and put *:*:*:${superuser}:<password> into ${state.path}/passwords (mode 600)`
}

function placeOf(text: string): HostAndPort {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  if (host === undefined) throw new BackstayError('USAGE', `"${text}" is not HOST or HOST:PORT`)
  return { host, port: Number(match?.[3] ?? DEFAULT_PORT) }
}

/** libpq's places; one that was named has to be there. */
async function passfileOf({
  options,
  environment,
  workingDirectory,
}: CommandContext<typeof OPTIONS, typeof ARGUMENTS>): Promise<string | undefined> {
  if (options.passfile !== undefined) return resolve(workingDirectory, options.passfile)
  const home = environment['HOME']
  const usual =
    environment['PGPASSFILE'] ?? (home === undefined ? undefined : join(home, '.pgpass'))
  return usual !== undefined && (await readText(usual)) !== undefined ? usual : undefined
}

async function passwordOf(
  passfile: string | undefined,
  login: HostAndPort & { readonly user: string },
): Promise<string | undefined> {
  const text = passfile === undefined ? undefined : await readText(passfile)
  return text === undefined ? undefined : lookupPassword(text, { ...login, database: 'postgres' })
}

async function readText(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined)
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeNewFile(path, text)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'EEXIST' ? 'it is there already' : message
    throw new BackstayError('FAILED', `Cannot write "${path}": ${why}`, {
      hint: 'Name another file with --output.',
      cause: error,
    })
  }
}
