/**
 * Making a new cluster with initdb. Settings, access and roles are the planner's.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { showCommand } from './shell-quote.ts'
import type { PostgresInstance } from './postgres-instance.ts'
import { commandError } from './run-checked.ts'

const TIMEOUT_MS = 300_000

/** What the new cluster is like. */
export interface InitdbOptions {
  readonly superuser: string
  /** Of the superuser. */
  readonly password: string
  readonly encoding: string
  readonly locale: string
  readonly checksums: boolean
  readonly segmentBytes: number
  /** Password method in the pg_hba.conf that initdb writes. */
  readonly authentication: 'scram-sha-256' | 'md5'
  readonly signal?: AbortSignal
}

/**
 * Makes a cluster in `instance.directory`, which is made when missing and must be empty, and syncs
 * it to disk. The password goes through a pipe: it is never in argv, the environment or a file.
 * @throws DIRECTORY_FOREIGN, HOST_COMMAND with what initdb said. initdb removes what it made when
 * it fails.
 */
export async function initializeCluster(
  instance: PostgresInstance,
  options: InitdbOptions,
): Promise<void> {
  const { host, directory, user } = instance
  const content = await host.list(directory)
  if (content !== undefined && content.length > 0) throw notEmpty(instance, content)
  await host.makeDirectory(directory, { owner: user, mode: 0o700 })
  const command = initdbCommand(instance, options)
  // The program opens /dev/stdin anew, which the kernel allows for a pipe of its own user only:
  // hence the inner cat.
  const result = await host.run(['sh', '-c', 'cat | "$@"', 'sh', ...command], {
    user,
    input: `${options.password}\n`,
    timeoutMs: TIMEOUT_MS,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  if (result.exitCode !== 0) throw commandError(host.name, command, result)
}

/** The command line of initdb for these options. */
export function initdbCommand(
  instance: Pick<PostgresInstance, 'binaries' | 'directory'>,
  options: Omit<InitdbOptions, 'password' | 'signal'>,
): readonly string[] {
  const { binaries, directory } = instance
  return [
    `${binaries.directory}/initdb`,
    `--pgdata=${directory}`,
    `--username=${options.superuser}`,
    '--pwfile=/dev/stdin',
    `--auth=${options.authentication}`,
    `--encoding=${options.encoding}`,
    `--locale=${options.locale}`,
    `--wal-segsize=${options.segmentBytes / 1024 / 1024}`,
    ...checksumOptions(binaries.major, options.checksums),
  ]
}

/** 18 turned the default round. */
function checksumOptions(major: number, wanted: boolean): readonly string[] {
  if (wanted) return ['--data-checksums']
  return major >= 18 ? ['--no-data-checksums'] : []
}

function notEmpty(instance: PostgresInstance, content: readonly string[]): BackstayError {
  const { host, directory, name } = instance
  return new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot make a new cluster for "${name}": directory "${directory}" on "${host.name}" is not empty (${showCommand(content.slice(0, 5))})`,
    { details: { server: name, host: host.name, directory } },
  )
}
