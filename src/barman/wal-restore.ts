/**
 * The program `barman-wal-restore`: a restore_command that fetches a WAL file with `barman get-wal` from the Barman host.
 * A file gets its name when it is whole, in the spool as well as at its destination.
 */
import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ClientError, clientProgram, runClient, USAGE_EXIT_CODE } from './client/client-program.ts'
import { runSsh, shellWord, SSH_FAILED, sshCommand } from './client/ssh.ts'
import { decompressWal } from './wal/decompress.ts'
import { writeWhole } from '../wal/write-whole.ts'

const DESTINATION_EXIT_CODE = 3

interface Order {
  readonly host: string
  readonly server: string
  readonly name: string
  readonly destination: string
  readonly options: Readonly<Record<string, string | boolean | undefined>>
}

/** Runs the command line of this process and ends the process. */
export async function main(): Promise<void> {
  const program = clientProgram('barman-wal-restore', 'restore_command through a Barman host')
    .argument('<barman_host>', 'the Barman host')
    .argument('<server_name>', "the server's name in its configuration")
    .argument('<wal_name>', 'the name of the WAL file: %f')
    .argument('<wal_dest>', 'where to put it: %p')
    .option('-s, --sleep <SECONDS>', 'wait so long after a failure', '0')
    .option('-p, --parallel <JOBS>', 'fetch so many files at once, ahead of need', '0')
    .option('--spool-dir <DIR>', 'where files fetched ahead wait', '/var/tmp/walrestore')
    .option('-P, --partial', 'take unfinished segments as well')
    .option('-z, --gzip', 'accepted for old servers')
    .option('-j, --bzip2', 'accepted for old servers')
    .option('--keep-compression', 'have the server send files as they are stored')
  await runClient(program, async () => {
    const [host = '', server = '', name = '', destination = ''] = program.args
    return await restore({ host, server, name, destination, options: program.opts() })
  })
}

async function restore(order: Order): Promise<number> {
  const { options, name, destination } = order
  if (options['test'] === true) {
    process.stdout.write(await ask(order, ['get-wal --test', name || 'dummy_wal_name']))
    return 0
  }
  await checkDestination(destination)
  const parallel = Number(options['parallel'])
  if (parallel > 0 && (await takeSpooled(order))) return 0
  try {
    if (parallel > 1) await fetchAhead(order, parallel)
    else await place(await fetch(order, name), destination)
    return 0
  } catch (error) {
    await delay(Number(options['sleep']) * 1000)
    throw error
  }
}

async function checkDestination(destination: string): Promise<void> {
  const isDirectory = await stat(destination).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (!isDirectory) return
  throw new ClientError(`WAL_DEST cannot be a directory: ${destination}`, DESTINATION_EXIT_CODE)
}

/** The requested file and those after it at the same time; only the requested one decides. */
async function fetchAhead(order: Order, parallel: number): Promise<void> {
  const peeked = await ask(order, [`get-wal --peek ${shellWord(String(parallel))}`, order.name])
  const names = peeked.toString().split('\n').filter(Boolean)
  const directory = String(order.options['spoolDir'])
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const ahead = names
    .filter((name) => name !== order.name)
    .map(async (name) => place(await fetch(order, name), join(directory, name)))
  await place(await fetch(order, order.name), order.destination)
  await Promise.allSettled(ahead)
}

async function fetch(order: Order, name: string): Promise<Buffer> {
  const { options } = order
  const flags = [
    ...(options['gzip'] === true ? ['--gzip'] : []),
    ...(options['bzip2'] === true ? ['--bzip2'] : []),
    ...(options['keepCompression'] === true ? ['--keep-compression'] : []),
    ...(options['partial'] === true ? ['--partial'] : []),
  ]
  const content = await ask(order, [['get-wal', ...flags].join(' '), name])
  return await decompressWal(name, content)
}

/** What the remote command prints. @throws {ClientError} with its exit code. */
async function ask(order: Order, [command = '', name = '']: readonly string[]): Promise<Buffer> {
  const { host, server, options } = order
  const remote = { host, user: String(options['user']), port: optional(options['port']) }
  const config = optional(options['config'])
  const words = [
    ...sshCommand(remote),
    ...(config === undefined ? [] : [`--config ${shellWord(config)}`]),
    `${command} ${shellWord(server)} ${shellWord(name)}`,
  ]
  const { exitCode, stdout } = await runSsh(words, Buffer.alloc(0))
  if (exitCode === 0) return stdout
  // Not 255: above 125 PostgreSQL would give up recovery instead of trying again.
  if (exitCode === SSH_FAILED) {
    throw new ClientError('Connection problem with ssh', USAGE_EXIT_CODE)
  }
  throw new ClientError("Remote 'barman get-wal' command has failed!", exitCode)
}

async function takeSpooled({ options, name, destination }: Order): Promise<boolean> {
  const spooled = join(String(options['spoolDir']), name)
  try {
    await rename(spooled, destination)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') return false
  }
  const temporary = temporaryFor(destination)
  await copyFile(spooled, temporary)
  await rename(temporary, destination)
  await rm(spooled)
  return true
}

async function place(content: Buffer, destination: string): Promise<void> {
  try {
    await writeWhole(temporaryFor(destination), destination, content)
  } catch (error) {
    throw new ClientError(
      `Cannot write '${destination}': ${(error as Error).message}`,
      DESTINATION_EXIT_CODE,
    )
  }
}

function temporaryFor(destination: string): string {
  return join(dirname(destination), `.${basename(destination)}.barman-${process.pid}`)
}

function optional(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
