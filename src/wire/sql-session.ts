/**
 * Opens one session of the `pg` library, which is loaded on first use so that commands without SQL start fast.
 */
import type { EventEmitter } from 'node:events'
import { Socket } from 'node:net'
import type { Client } from 'pg'
import { BackstayError } from '../errors/backstay-error.ts'
import { parseLsn } from '../postgres/lsn.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { findPassword } from './password.ts'
import { describeServer, isSocketDirectory } from './server-address.ts'
import { sqlError } from './sql-error.ts'
import { type Encryption, tlsSettings } from './tls-settings.ts'

const DEFAULT_DATABASE = 'postgres'
const DEFAULT_STATEMENT_TIMEOUT_MS = 60_000
/** How much later than the server's own timeout a silent server is given up. */
const SILENCE_MARGIN_MS = 10_000
const KEEP_ALIVE_DELAY_MS = 10_000

/** How to connect for SQL. */
export interface SqlOptions extends ConnectionOptions {
  /** Bounds each statement on the server; 0 for none. Default 60 s. */
  readonly statementTimeoutMs?: number
}

/** The part of pg's connection object that is used beside its documented API. */
interface PgSession {
  readonly connection: EventEmitter
}

/** A session that is logged in. */
export interface SqlSession {
  readonly client: Client
  readonly socket: Socket
  readonly serverVersion: string
}

/**
 * Connects in one way and logs in. The socket is destroyed when `signal` aborts before that is done.
 * @throws {BackstayError} as `SqlClient.connect`.
 */
export async function openSqlSession(
  options: SqlOptions,
  encryption: Encryption,
  signal: AbortSignal,
): Promise<SqlSession> {
  const { default: pg } = await import('pg')
  const socket = new Socket()
  const client = new pg.Client(await clientConfig(options, encryption, socket))
  client.setTypeParser(pg.types.builtins.INT8, parseInt8)
  client.setTypeParser(pg.types.builtins.PG_LSN, parseLsn)
  const session = client as unknown as PgSession
  let serverVersion = ''
  session.connection.on(
    'parameterStatus',
    (status: { parameterName: string; parameterValue: string }) => {
      if (status.parameterName === 'server_version') serverVersion = status.parameterValue
    },
  )
  if (encryption === 'plain' && !isSocketDirectory(options.host)) refuseCleartext(session, socket)
  // A connection that breaks between two statements is reported by the next one.
  client.on('error', () => undefined)
  const abort = (): void => void socket.destroy()
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    await client.connect()
    return { client, socket, serverVersion }
  } catch (error) {
    socket.destroy()
    throw sqlError(`Cannot connect to ${describeServer(options)} as "${options.user}"`, error)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function clientConfig(
  options: SqlOptions,
  encryption: Encryption,
  socket: Socket,
): Promise<ConstructorParameters<typeof Client>[0]> {
  const statementTimeoutMs = options.statementTimeoutMs ?? DEFAULT_STATEMENT_TIMEOUT_MS
  const database = options.database ?? DEFAULT_DATABASE
  return {
    host: options.host,
    port: options.port,
    user: options.user,
    database,
    password: async () => findPassword(options, database),
    ssl: encryption === 'tls' ? await tlsSettings(options) : false,
    stream: () => socket,
    enableChannelBinding: true,
    application_name: options.applicationName ?? 'backstay',
    // Also keeps the PGOPTIONS of the environment out.
    options: '-c DateStyle=ISO',
    statement_timeout: statementTimeoutMs,
    ...(statementTimeoutMs === 0 ? {} : { query_timeout: statementTimeoutMs + SILENCE_MARGIN_MS }),
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
  }
}

/** Whoever answers at the address could ask for the password in the clear: then the connection ends instead. */
function refuseCleartext(session: PgSession, socket: Socket): void {
  session.connection.prependListener('authenticationCleartextPassword', () => {
    const error = new BackstayError(
      'POSTGRES_AUTH',
      'Cannot log in: the server asks for the password in clear text over an unencrypted connection',
      { hint: 'Use scram-sha-256 in pg_hba.conf, or sslmode=require.' },
    )
    socket.destroy(error)
  })
}

/** A number where it is exact, else the text: a system identifier stays whole. */
function parseInt8(text: string): number | string {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : text
}
