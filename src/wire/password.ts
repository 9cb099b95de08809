/**
 * Where a login's password comes from, and the md5 answer. A password leaves this file only as a
 * return value.
 */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { BackstayError } from '../errors/backstay-error.ts'
import { lookupPassword } from '../postgres/passfile.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { describeServer } from './server-address.ts'

const GROUP_OR_WORLD = 0o077
const PASSFILE_BYTES_MAX = 1024 * 1024

/**
 * The password for a connection to `database` (`replication` for physical replication), from the
 * options or the passfile.
 * @throws {BackstayError} POSTGRES_AUTH when there is none, or the file may be read by others.
 */
export async function findPassword(options: ConnectionOptions, database: string): Promise<string> {
  if (options.password !== undefined) return options.password
  const { host, port, user, passfile } = options
  const text = passfile === undefined ? undefined : await readPassfile(passfile)
  const password =
    text === undefined ? undefined : lookupPassword(text, { host, port, database, user })
  if (password !== undefined && password !== '') return password
  const where = passfile === undefined ? 'none was given' : `"${passfile}" has none for it`
  throw new BackstayError(
    'POSTGRES_AUTH',
    `Cannot log in to ${describeServer(options)} as "${user}": the server asks for a password and ${where}`,
    { hint: `Add a line for host, port, database "${database}" and user to the password file.` },
  )
}

/** The answer to an md5 challenge. */
export function md5Answer(login: { user: string; password: string }, salt: Uint8Array): string {
  const stored = md5(Buffer.from(login.password + login.user))
  return `md5${md5(Buffer.concat([Buffer.from(stored), salt]))}`
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}

function tooLong(path: string, size: number): BackstayError {
  return new BackstayError(
    'POSTGRES_AUTH',
    `Cannot use password file "${path}": it has ${size} bytes, at most ${PASSFILE_BYTES_MAX} are read`,
  )
}

/** The file's text; undefined when it is not there. */
async function readPassfile(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path)
    const { mode, size } = await file.stat()
    if (size > PASSFILE_BYTES_MAX) throw tooLong(path, size)
    if ((mode & GROUP_OR_WORLD) === 0) return await file.readFile('utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    if (cause instanceof BackstayError) throw cause
    throw new BackstayError('POSTGRES_AUTH', `Cannot read password file "${path}"`, { cause })
  }
  throw new BackstayError(
    'POSTGRES_AUTH',
    `Cannot use password file "${path}": group or others may read it`,
    { hint: `Run: chmod 0600 ${path}` },
  )
}
