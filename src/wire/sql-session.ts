/**
 * Opens one session of the `pg` library, which is loaded on first use so that commands without SQL
 * start fast.
 */
import { Socket } from 'node:net'
import type { Client, ClientConfig } from 'pg'
import { BackstayError } from '../errors/backstay-error.ts'
import { afterStart, startOptions } from '../postgres/session-settings.ts'
import { limitBytes } from './byte-limit.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { limitRows } from './row-limit.ts'
import { vouchingSocket } from './login-policy.ts'
import { describeServer } from './server-address.ts'
import { sqlError } from './sql-error.ts'
import { type PgConnection, SqlLogin } from './sql-login.ts'
import { type Encryption, tlsSettings } from './tls-settings.ts'
import { valueTypes } from './value-types.ts'

const DEFAULT_DATABASE = 'postgres'
/** All that a server says until it is ready for the first query. */
const LOGIN_BYTES_MAX = 4 * 1024 * 1024
const DEFAULT_STATEMENT_TIMEOUT_MS = 60_000
/** How much later than the server's own timeout a silent server is given up. */
const SILENCE_MARGIN_MS = 10_000
const KEEP_ALIVE_DELAY_MS = 10_000

/** How to connect for SQL. */
export interface SqlOptions extends ConnectionOptions {
  /** Bounds each statement on the server; 0 for none. Default 60 s. */
  readonly statementTimeoutMs?: number
  /** Set at the start besides what every session sets. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A session that is logged in. */
export interface SqlSession {
  readonly client: Client
  readonly socket: Socket
  readonly serverVersion: string
  /**
   * Why the session was ended: an answer that is none, in words. Undefined while there was none.
   */
  readonly excess: () => string | undefined
}

/**
 * Connects in one way and logs in. The socket is destroyed when `signal` aborts before that is
 * done.
 * @throws {BackstayError} as `SqlClient.connect`.
 */
export async function openSqlSession(
  options: SqlOptions,
  encryption: Encryption,
  signal: AbortSignal,
): Promise<SqlSession> {
  const { default: pg } = await import('pg')
  const socket = new Socket()
  const types = valueTypes((oid) => pg.types.getTypeParser(oid, 'text'))
  const client = new pg.Client({ ...(await clientConfig(options, encryption, socket)), types })
  const { connection } = client as unknown as { readonly connection: PgConnection }
  let serverVersion = ''
  connection.on('parameterStatus', (status: { parameterName: string; parameterValue: string }) => {
    if (status.parameterName === 'server_version') serverVersion = status.parameterValue
  })
  let excess: string | undefined
  limitRows(connection, (why) => {
    excess = why
    socket.destroy()
  })
  // A connection that breaks between two statements is reported by the next one.
  client.on('error', () => undefined)
  const action = `Cannot connect to ${describeServer(options)} as "${options.user}"`
  const database = options.database ?? DEFAULT_DATABASE
  let refusal: unknown
  const abort = (): void => void socket.destroy()
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    const vouching = await vouchingSocket(options)
    signal.throwIfAborted()
    using _limit = limitBytes(socket, LOGIN_BYTES_MAX, () => {
      refusal ??= new BackstayError('POSTGRES_PROTOCOL', `${action}: the login has no end`)
      socket.destroy()
    })
    const connected = client.connect()
    const login = new SqlLogin(
      connection,
      { action, options, database, socket: vouching },
      (error) => {
        refusal ??= error
        socket.destroy()
      },
    )
    await connected
    await login.end(action)
    const rest = afterStart(Number.parseInt(serverVersion, 10))
    if (rest !== '') await client.query(rest)
    return { client, socket, serverVersion, excess: () => excess }
  } catch (error) {
    socket.destroy()
    throw sqlError(action, refusal ?? error)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function clientConfig(
  options: SqlOptions,
  encryption: Encryption,
  socket: Socket,
): Promise<ClientConfig> {
  const statementTimeoutMs = options.statementTimeoutMs ?? DEFAULT_STATEMENT_TIMEOUT_MS
  return {
    host: options.host,
    port: options.port,
    user: options.user,
    database: options.database ?? DEFAULT_DATABASE,
    // Not asked for, and with it no environment variable is: sql-login.ts answers.
    password: () => '',
    ssl: encryption === 'tls' ? await tlsSettings(options) : false,
    stream: () => socket,
    application_name: options.applicationName ?? 'backstay',
    // Also keeps the PGOPTIONS of the environment out.
    options: startOptions(statementTimeoutMs, options.settings),
    ...(statementTimeoutMs === 0 ? {} : { query_timeout: statementTimeoutMs + SILENCE_MARGIN_MS }),
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
  }
}
