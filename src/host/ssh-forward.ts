/**
 * A Unix socket of another machine, here: forwarded through the shared ssh connection into its
 * private directory. So SQL needs no open port, no line in pg_hba.conf for the operator's machine,
 * and is as safe as ssh.
 */
import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path/posix'
import { BackstayError } from '../errors/backstay-error.ts'
import { runChild } from './child-process.ts'
import { lastLines } from './run-checked.ts'
import type { SshConnection } from './ssh-connection.ts'

const TIMEOUT_MS = 15_000

/**
 * The path here of the socket `remotePath` there. Asking for one that is forwarded already costs a
 * word with the shared connection and changes nothing.
 * @throws HOST_UNREACHABLE, also when sshd forbids forwarding.
 */
export async function forwardSocket(
  connection: SshConnection,
  remotePath: string,
): Promise<string> {
  const localPath = `${await folderFor(connection, dirname(remotePath))}/${basename(remotePath)}`
  const way = { localPath, target: remotePath, name: `the socket "${remotePath}"` }
  return await forward(connection, way)
}

/**
 * The same for a TCP port there, under the name PostgreSQL gives a socket of that port.
 * @throws as `forwardSocket`
 */
export async function forwardPort(
  connection: SshConnection,
  address: string,
  port: number,
): Promise<string> {
  const host = address.includes(':') ? `[${address}]` : address
  const localPath = `${await folderFor(connection, `tcp ${address}`)}/.s.PGSQL.${port}`
  return await forward(connection, {
    localPath,
    target: `${host}:${port}`,
    name: `${host}:${port}`,
  })
}

/** What is forwarded from where, and its name for people. */
interface ForwardedSocket {
  readonly localPath: string
  readonly target: string
  readonly name: string
}

async function folderFor(connection: SshConnection, place: string): Promise<string> {
  const folder = createHash('sha256').update(place).digest('hex').slice(0, 8)
  const directory = `${connection.directory}/${folder}`
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return directory
}

async function forward(
  connection: SshConnection,
  { localPath, target, name: there }: ForwardedSocket,
): Promise<string> {
  const way = `${localPath}:${target}`
  const first = await ask(connection, way)
  if (first === undefined) return localPath
  // The shared connection has ended meanwhile, or was not made yet: any command makes it.
  await connection.run({
    command: ['true'],
    directory: '/',
    environment: {},
    timeoutMs: TIMEOUT_MS,
  })
  const reason = await ask(connection, way)
  if (reason === undefined) return localPath
  const { name } = connection.options
  throw new BackstayError(
    'HOST_UNREACHABLE',
    `Cannot reach ${there} on "${name}" through ssh: ${reason}`,
    {
      hint: 'Allow it in sshd_config there: AllowStreamLocalForwarding yes, AllowTcpForwarding yes.',
      details: { host: name, path: target },
    },
  )
}

/** Asks the shared connection to forward; what it said against it, or undefined. */
async function ask(connection: SshConnection, way: string): Promise<string | undefined> {
  const extra = ['-O', 'forward', '-o', 'ClearAllForwardings=no', '-L', way]
  const { environment } = connection.options
  const options = { directory: '/', environment, timeoutMs: TIMEOUT_MS }
  const result = await runChild(connection.sshCommand(extra), options)
  if (result.exitCode === 0 && !result.timedOut) return undefined
  return lastLines(result.stderr.toString(), 3) || 'ssh said nothing'
}
