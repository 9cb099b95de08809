/**
 * One attempt to get a replication connection: stream, startup, login.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { IDLE_TIMEOUT, startOptions } from '../postgres/session-settings.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { Conversation } from './conversation.ts'
import { encodeQuery, encodeStartup, encodeTerminate } from './frontend-messages.ts'
import { Login } from './login.ts'
import { LoginExchange } from './login-exchange.ts'
import { vouchingSocket } from './login-policy.ts'
import { openTransport } from './open-transport.ts'
import { showCommand } from './replication-command.ts'
import { RowsExchange } from './rows-exchange.ts'
import { describeServer } from './server-address.ts'
import type { Encryption } from './tls-settings.ts'

/** The database that password files and pg_hba.conf name for physical replication. */
const DATABASE = 'replication'

/**
 * A conversation that is logged in for physical replication.
 * @throws {BackstayError} as `ReplicationConnection.connect`.
 */
export async function logIn(
  options: ConnectionOptions,
  encryption: Encryption,
  signal: AbortSignal,
): Promise<Conversation> {
  const conversation = await logInOnce(options, encryption, { settings: startOptions(), signal })
  if (!(await endsWhenIdle(conversation, options, signal))) return conversation
  conversation.transport.write(encodeTerminate())
  await conversation.transport.end()
  const settings = `${startOptions()} ${IDLE_TIMEOUT.option}`
  return await logInOnce(options, encryption, { settings, signal })
}

/**
 * Whether the server would end the session between two commands: one that knows the setting can be
 * told otherwise.
 */
async function endsWhenIdle(
  conversation: Conversation,
  options: ConnectionOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const version = Number.parseInt(conversation.parameters.get('server_version') ?? '', 10)
  if (!(version >= IDLE_TIMEOUT.since)) return false
  const exchange = new RowsExchange(
    `Cannot read "${IDLE_TIMEOUT.name}" of ${describeServer(options)}`,
  )
  const request = encodeQuery(showCommand(IDLE_TIMEOUT.name))
  await conversation.run(exchange, { request, idleTimeoutMs: 0, signal })
  const [value] = exchange.rows[0]?.values() ?? []
  return value?.toString() !== '0'
}

async function logInOnce(
  options: ConnectionOptions,
  encryption: Encryption,
  { settings, signal }: { readonly settings: string; readonly signal: AbortSignal },
): Promise<Conversation> {
  const socket = await vouchingSocket(options)
  const transport = await openTransport(options, encryption, signal)
  try {
    const conversation = new Conversation(transport)
    const action = `Cannot log in to ${describeServer(options)} as "${options.user}"`
    const login = new Login({ action, options, database: DATABASE, socket }, transport)
    const exchange = new LoginExchange(action, login)
    const request = encodeStartup(startupParameters(options, settings))
    await conversation.run(exchange, { request, idleTimeoutMs: 0, signal })
    if (!login.isOver) {
      throw new BackstayError('POSTGRES_PROTOCOL', `${action}: the server is ready without a login`)
    }
    return conversation
  } catch (error) {
    transport.destroy(error)
    throw error
  }
}

function startupParameters(options: ConnectionOptions, settings: string): Record<string, string> {
  return {
    user: options.user,
    replication: 'true',
    application_name: options.applicationName ?? 'backstay',
    client_encoding: 'UTF8',
    options: settings,
  }
}
