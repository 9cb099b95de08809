/**
 * Opens a stream to a server, encrypted or not as asked for. No login.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { encodeSslRequest } from './frontend-messages.ts'
import { networkError } from './network-error.ts'
import { describeServer } from './server-address.ts'
import { type Encryption, tlsSettings } from './tls-settings.ts'
import { Transport } from './transport.ts'

/**
 * Connects and, when asked for, negotiates TLS. The stream is destroyed when `signal` aborts before
 * it is open.
 * @throws {BackstayError} POSTGRES_UNREACHABLE, POSTGRES_CONNECTION_LOST, POSTGRES_TLS,
 * POSTGRES_PROTOCOL; the signal's reason.
 */
export async function openTransport(
  options: ConnectionOptions,
  encryption: Encryption,
  signal: AbortSignal,
): Promise<Transport> {
  signal.throwIfAborted()
  const transport = new Transport(options)
  const abort = (): void => transport.destroy(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await transport.connected()
    if (encryption === 'tls') await encrypt(transport, options)
    return transport
  } catch (error) {
    transport.destroy(error)
    throw signal.aborted ? signal.reason : openError(options, error)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function encrypt(transport: Transport, options: ConnectionOptions): Promise<void> {
  const settings = await tlsSettings(options)
  const answer = await transport.ask(encodeSslRequest())
  const letter = answer.toString('latin1')
  if (letter === 'S') return transport.startTls(settings)
  const action = `Cannot connect to ${describeServer(options)}`
  if (letter === 'N') {
    throw new BackstayError('POSTGRES_TLS', `${action}: the server does not offer TLS`, {
      hint: 'Turn ssl on at the server, or choose another sslmode.',
    })
  }
  // More than one byte would be text that somebody in between put before the encrypted part.
  throw new BackstayError(
    'POSTGRES_PROTOCOL',
    `${action}: the answer to the TLS request is not PostgreSQL's`,
  )
}

function openError(options: ConnectionOptions, error: unknown): BackstayError {
  const action = `Cannot connect to ${describeServer(options)}`
  if (error !== undefined) return networkError(action, error)
  return new BackstayError('POSTGRES_CONNECTION_LOST', `${action}: the server ended the connection`)
}
