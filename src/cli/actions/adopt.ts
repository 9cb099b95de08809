/**
 * Takes over a cluster that runs already.
 */
import { readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import type { AdoptedCluster } from '../../cluster/adopted.ts'
import { holdsData } from '../../build/adopt/holds-data.ts'
import { lookAdopted, type Place, type SeenData } from '../../build/adopt/look-adopted.ts'
import { rememberAdopted } from '../../build/adopt/remember.ts'
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
import type { ARGUMENTS, OPTIONS } from '../commands/adopt.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { packageFile } from '../version.ts'

type Context = CommandContext<typeof OPTIONS, typeof ARGUMENTS>

const SCHEMA_FILE = 'docs/reference/backstay.schema.json'
const DEFAULT_PORT = 5432

/** @throws USAGE, NOT_READY, CONFIG_INVALID, FAILED when the file is there already, what looking throws */
export async function run(context: Context): Promise<CommandResult> {
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
async function seesData({ host }: Place, data: SeenData): Promise<boolean> {
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

function placeOf(text: string): Place {
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
}: Context): Promise<string | undefined> {
  if (options.passfile !== undefined) return resolve(workingDirectory, options.passfile)
  const home = environment['HOME']
  const usual =
    environment['PGPASSFILE'] ?? (home === undefined ? undefined : join(home, '.pgpass'))
  return usual !== undefined && (await readText(usual)) !== undefined ? usual : undefined
}

async function passwordOf(
  passfile: string | undefined,
  login: Place & { readonly user: string },
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
