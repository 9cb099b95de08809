/**
 * The program `barman-wal-archive`: an archive_command that sends a WAL file to `barman put-wal` on
 * the Barman host.
 */
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import {
  ClientError,
  type ClientOptions,
  clientProgram,
  runClient,
  USAGE_EXIT_CODE,
} from './client/client-program.ts'
import { CLIENT_COMPRESSIONS, type ClientCompression, compress } from './client/compress.ts'
import {
  type RemoteBarman,
  runSsh,
  SAID_BYTES_MAX,
  shellWord,
  SSH_FAILED,
  sshCommand,
} from './client/ssh.ts'
import { tarStream } from './client/tar-stream.ts'
import { printable } from '../errors/printable.ts'
import { MOST_SEGMENT_BYTES } from '../postgres/segment-name.ts'
import { readRegular } from '../util/read-regular.ts'

const CONNECTION_EXIT_CODE = 3

interface ArchiveOptions
  extends ClientOptions, Readonly<Partial<Record<ClientCompression, boolean>>> {
  readonly md5?: boolean
  readonly compressionLevel: string
}

/** Runs the command line of this process and ends the process. */
export async function main(): Promise<void> {
  const program = clientProgram('barman-wal-archive', 'archive_command through a Barman host')
    .argument('<barman_host>', 'the Barman host')
    .argument('<server_name>', "the server's name in its configuration")
    .argument('<wal_path>', 'the WAL file: %p')
    .option('--md5', 'send MD5 sums, for old servers')
    .option('-z, --gzip', 'compress with gzip')
    .option('-j, --bzip2', 'compress with bzip2')
    .option('--xz', 'compress with xz')
    .option('--snappy', 'not supported')
    .option('--zstd', 'compress with zstd')
    .option('--lz4', 'compress with lz4')
    .option('--compression-level <LEVEL>', 'low, medium, high or a number', 'medium')
  await runClient(program, async () => {
    const [host = '', server = '', path = ''] = program.args
    const options = program.opts<ArchiveOptions>()
    const remote = { host, user: options.user, port: options.port }
    return await archive(remote, { server, path, options })
  })
}

interface ArchiveOrder {
  readonly server: string
  readonly path: string
  readonly options: ArchiveOptions
}

async function archive(remote: RemoteBarman, order: ArchiveOrder): Promise<number> {
  const { options, server } = order
  const isTest = options.test === true
  const config = options.config
  const words = [
    ...sshCommand(remote),
    ...(config === undefined ? [] : [`--config=${shellWord(config)}`]),
    'put-wal',
    server,
    ...(isTest ? ['--test'] : []),
  ]
  const input = isTest ? Buffer.alloc(0) : await stream(order)
  const { exitCode, stdout } = await runSsh(words, input, SAID_BYTES_MAX)
  process.stdout.write(printable(stdout.toString()))
  if (exitCode === 0) return 0
  if (exitCode === SSH_FAILED) {
    throw new ClientError('Connection problem with ssh', CONNECTION_EXIT_CODE)
  }
  throw new ClientError("Remote 'barman put-wal' command has failed!", exitCode)
}

async function stream({ path, options }: ArchiveOrder): Promise<Buffer> {
  const found = await stat(path)
  if (found.isDirectory()) {
    throw new ClientError(`WAL_PATH cannot be a directory: ${path}`, USAGE_EXIT_CODE)
  }
  const chosen = CLIENT_COMPRESSIONS.filter((name) => options[name] === true)
  if (chosen.length > 1) {
    throw new ClientError(`Choose one of --${chosen.join(' and --')}`, USAGE_EXIT_CODE)
  }
  const [compression]: (ClientCompression | undefined)[] = chosen
  const { compressionLevel: level } = options
  const content = await compress(await readRegular(path, MOST_SEGMENT_BYTES), compression, level)
  const file = { name: basename(path), content, modifiedAtMs: found.mtimeMs }
  return tarStream(file, options.md5 === true)
}
