/**
 * Asks the server to stop what another connection of ours is doing.
 */
import type { ConnectionOptions } from './connection-options.ts'
import { type BackendKey, encodeCancelRequest } from './frontend-messages.ts'
import { openTransport } from './open-transport.ts'
import type { Encryption } from './tls-settings.ts'

const CANCEL_TIMEOUT_MS = 5000

/**
 * Sends a CancelRequest and waits until the server has taken it (it closes the connection). The
 * server answers nothing: whether something was cancelled is seen on the other connection.
 * @throws {BackstayError} when the server cannot be reached within five seconds.
 */
export async function cancelRequest(
  options: ConnectionOptions,
  key: BackendKey,
  encryption: Encryption,
): Promise<void> {
  const signal = AbortSignal.timeout(CANCEL_TIMEOUT_MS)
  const transport = await openTransport(options, encryption, signal)
  signal.addEventListener('abort', () => transport.destroy(signal.reason), { once: true })
  transport.write(encodeCancelRequest(key))
  await transport.end()
}
