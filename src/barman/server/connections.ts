/**
 * From libpq's connection strings, with libpq's defaults, to the ways to a server.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { type Conninfo, parseConninfo } from '../../postgres/conninfo.ts'
import type { Environment } from '../../util/environment.ts'
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import { protectionFrom } from './protection-words.ts'

const DEFAULT_PORT = 5432
const SOCKET_DIRECTORIES = ['/var/run/postgresql', '/tmp']

/** For SQL. @throws {BackstayError} CONFIG_INVALID */
export function sqlConnection(server: BarmanServer, environment: Environment): ConnectionOptions {
  return { ...connectionOf(server.conninfo, environment), applicationName: 'barman' }
}

/** For base backups and replication commands. */
export function backupConnection(
  server: BarmanServer,
  environment: Environment,
): ConnectionOptions {
  const connection = connectionOf(server.streamingConninfo, environment)
  return { ...connection, applicationName: server.backupName }
}

/**
 * For receiving WAL: wal_streaming_conninfo where it is set.
 * @throws {BackstayError} CONFIG_INVALID
 */
export function receiverConnection(
  server: BarmanServer,
  environment: Environment,
): ConnectionOptions {
  const conninfo = server.walStreamingConninfo ?? server.streamingConninfo
  return { ...connectionOf(conninfo, environment), applicationName: server.receiverName }
}

/** Reads a connection string. @throws {BackstayError} CONFIG_INVALID */
export function connectionOf(
  conninfo: string | undefined,
  environment: Environment,
): ConnectionOptions {
  const values = parseConninfo(conninfo ?? '')
  const host = values['hostaddr'] ?? values['host'] ?? environment['PGHOST'] ?? socketDirectory()
  const port = Number((values['port'] ?? environment['PGPORT'] ?? '') || DEFAULT_PORT)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new BackstayError('CONFIG_INVALID', `Cannot connect: "${values['port']}" is no port`)
  }
  return {
    host,
    port,
    user: values['user'] ?? environment['PGUSER'] ?? environment['USER'] ?? 'barman',
    ...optional('database', values['dbname'] ?? values['user']),
    ...optional('password', values['password']),
    ...passfileOf(values, environment),
    ...protectionFrom(values, environment),
    ...timeoutOf(values),
  }
}

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: string })
}

function socketDirectory(): string {
  return SOCKET_DIRECTORIES.find((directory) => existsSync(directory)) ?? '/tmp'
}

function passfileOf(values: Conninfo, environment: Environment): { passfile?: string } {
  const home = environment['HOME']
  const standard = home === undefined ? undefined : join(home, '.pgpass')
  return optional('passfile', values['passfile'] ?? environment['PGPASSFILE'] ?? standard)
}

function timeoutOf(values: Conninfo): { connectTimeoutMs?: number } {
  const seconds = Number(values['connect_timeout'] ?? 0)
  return seconds > 0 ? { connectTimeoutMs: seconds * 1000 } : {}
}
