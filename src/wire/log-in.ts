/**
 * One attempt to get a replication connection: stream, startup, login.
 */
import type { ConnectionOptions } from './connection-options.ts'
import { Conversation } from './conversation.ts'
import { encodeStartup } from './frontend-messages.ts'
import { LoginExchange } from './login-exchange.ts'
import { openTransport } from './open-transport.ts'
import { describeServer } from './server-address.ts'
import type { Encryption } from './tls-settings.ts'

/** A conversation that is logged in for physical replication. @throws {BackstayError} as `ReplicationConnection.connect`. */
export async function logIn(
  options: ConnectionOptions,
  encryption: Encryption,
  signal: AbortSignal,
): Promise<Conversation> {
  const transport = await openTransport(options, encryption, signal)
  try {
    const conversation = new Conversation(transport)
    const action = `Cannot log in to ${describeServer(options)} as "${options.user}"`
    const exchange = new LoginExchange(action, options, transport)
    const request = encodeStartup(startupParameters(options))
    await conversation.run(exchange, { request, idleTimeoutMs: 0, signal })
    return conversation
  } catch (error) {
    transport.destroy(error)
    throw error
  }
}

function startupParameters(options: ConnectionOptions): Record<string, string> {
  return {
    user: options.user,
    replication: 'true',
    application_name: options.applicationName ?? 'backstay',
    client_encoding: 'UTF8',
  }
}
