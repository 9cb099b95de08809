/**
 * The program `barman-wal-restore`: a restore_command that fetches a WAL file with `barman get-wal`
 * from the Barman host. A file gets its name when it is whole, in the spool as well as at its
 * destination.
 */
import { access, constants, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  ClientError,
  type ClientOptions,
  clientProgram,
  runClient,
  USAGE_EXIT_CODE,
} from './client/client-program.ts'
import { runSsh, SAID_BYTES_MAX, shellWord, SSH_FAILED, sshCommand } from './client/ssh.ts'
import { namesAhead, openSpool, takeSpooled, temporaryFor } from './client/wal-spool.ts'
import { readWord } from './command-line/word-kinds.ts'
import { decompressWal, incomingBytesMax } from './wal/decompress.ts'
import { printable } from '../errors/printable.ts'
import { writeWhole } from '../wal/write-whole.ts'

const DESTINATION_EXIT_CODE = 3
/** Of a list of names. */
const NAMES_BYTES_MAX = 256 * 1024

const whole = (word: string): number => Number(readWord('whole', word))

interface WalRestoreOptions extends ClientOptions {
  readonly sleep: number
  readonly parallel: number
  readonly spoolDir?: string
  readonly partial?: boolean
  readonly gzip?: boolean
  readonly bzip2?: boolean
  readonly keepCompression?: boolean
}

interface WalRestoreOrder {
  readonly host: string
  readonly server: string
  readonly name: string
  readonly destination: string
  readonly options: WalRestoreOptions
}

/** Runs the command line of this process and ends the process. */
export async function main(): Promise<void> {
  const program = clientProgram('barman-wal-restore', 'restore_command through a Barman host')
    .argument('<barman_host>', 'the Barman host')
    .argument('<server_name>', "the server's name in its configuration")
    .argument('<wal_name>', 'the name of the WAL file: %f')
    .argument('<wal_dest>', 'where to put it: %p')
    .option('-s, --sleep <SECONDS>', 'wait so long after a failure', whole, 0)
    .option('-p, --parallel <JOBS>', 'fetch so many files at once, ahead of need', whole, 0)
    .option('--spool-dir <DIR>', 'where files fetched ahead wait (default: beside WAL_DEST)')
    .option('-P, --partial', 'take unfinished segments as well')
    .option('-z, --gzip', 'accepted for old servers')
    .option('-j, --bzip2', 'accepted for old servers')
    .option('--keep-compression', 'have the server send files as they are stored')
  await runClient(program, async () => {
    const [host = '', server = '', name = '', destination = ''] = program.args
    return await restore({
      host,
      server,
      name,
      destination,
      options: program.opts<WalRestoreOptions>(),
    })
  })
}

async function restore(order: WalRestoreOrder): Promise<number> {
  const { options, name, destination } = order
  if (options.test === true) {
    const said = await ask(order, ['get-wal --test', name || 'dummy_wal_name'], SAID_BYTES_MAX)
    process.stdout.write(printable(said.toString()))
    return 0
  }
  await checkDestination(destination)
  const { parallel } = options
  const spool = parallel > 0 ? await openSpool(options.spoolDir, destination) : undefined
  if (spool !== undefined && (await takeSpooled(spool, name, destination))) return 0
  try {
    if (spool !== undefined && parallel > 1) await fetchAhead(order, parallel, spool)
    else await place(await fetch(order, name), destination)
    return 0
  } catch (error) {
    await delay(options.sleep * 1000)
    throw error
  }
}

/** Before the Barman host is asked: what cannot be put down need not be fetched. */
async function checkDestination(destination: string): Promise<void> {
  const isDirectory = await stat(destination).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (isDirectory) {
    throw new ClientError(`WAL_DEST cannot be a directory: ${destination}`, DESTINATION_EXIT_CODE)
  }
  try {
    await access(dirname(destination), constants.W_OK)
  } catch (error) {
    throw unwritable(destination, error)
  }
}

function unwritable(destination: string, error: unknown): ClientError {
  const why = (error as Error).message
  return new ClientError(`Cannot write '${destination}': ${why}`, DESTINATION_EXIT_CODE)
}

/** The requested file and those after it at the same time; only the requested one decides. */
async function fetchAhead(order: WalRestoreOrder, parallel: number, spool: string): Promise<void> {
  const peek = [`get-wal --peek ${shellWord(String(parallel))}`, order.name]
  const peeked = await ask(order, peek, NAMES_BYTES_MAX)
  const names = namesAhead(peeked.toString(), order.name, parallel)
  // Settled from the start: one that fails before the requested one is here would end the process.
  const ahead = Promise.allSettled(
    names.map(async (name) => place(await fetch(order, name), join(spool, name))),
  )
  await place(await fetch(order, order.name), order.destination)
  await ahead
}

async function fetch(order: WalRestoreOrder, name: string): Promise<Buffer> {
  const { options } = order
  const flags = [
    ...(options.gzip === true ? ['--gzip'] : []),
    ...(options.bzip2 === true ? ['--bzip2'] : []),
    ...(options.keepCompression === true ? ['--keep-compression'] : []),
    ...(options.partial === true ? ['--partial'] : []),
  ]
  const content = await ask(order, [['get-wal', ...flags].join(' '), name], incomingBytesMax(name))
  return await decompressWal(name, content)
}

/**
 * What the remote command prints.
 * @throws {ClientError} with its exit code, and when it is more than `mostBytes`.
 */
async function ask(
  order: WalRestoreOrder,
  [command = '', name = '']: readonly string[],
  mostBytes: number,
): Promise<Buffer> {
  const { host, server, options } = order
  const remote = { host, user: options.user, port: options.port }
  const config = options.config
  const words = [
    ...sshCommand(remote),
    ...(config === undefined ? [] : [`--config ${shellWord(config)}`]),
    `${command} ${shellWord(server)} ${shellWord(name)}`,
  ]
  const { exitCode, stdout } = await runSsh(words, Buffer.alloc(0), mostBytes)
  if (exitCode === 0) return stdout
  // Not 255: above 125 PostgreSQL would give up recovery instead of trying again.
  if (exitCode === SSH_FAILED) {
    throw new ClientError('Connection problem with ssh', USAGE_EXIT_CODE)
  }
  throw new ClientError("Remote 'barman get-wal' command has failed!", exitCode)
}

async function place(content: Buffer, destination: string): Promise<void> {
  try {
    await writeWhole(temporaryFor(destination), destination, content)
  } catch (error) {
    throw unwritable(destination, error)
  }
}
