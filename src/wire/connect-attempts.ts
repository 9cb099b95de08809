/**
 * One bounded connect made of the attempts that sslmode allows, for replication and SQL alike.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { formatDuration } from '../util/duration.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { describeServer } from './server-address.ts'
import { type Encryption, encryptionAttempts } from './tls-settings.ts'

const DEFAULT_CONNECT_TIMEOUT_MS = 10_000

/**
 * Runs `attempt` for each way of connecting until one succeeds; the connect timeout bounds them all
 * together. Another way is tried only when this one was refused, as libpq does.
 * @throws {BackstayError} the last refusal; POSTGRES_UNREACHABLE when time is up; the caller's
 * abort reason.
 */
export async function connectWithAttempts<T>(
  options: ConnectionOptions,
  attempt: (encryption: Encryption, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal: callers, connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = options
  const deadline = AbortSignal.timeout(connectTimeoutMs)
  const signal = callers === undefined ? deadline : AbortSignal.any([callers, deadline])
  try {
    return await tryEach(encryptionAttempts(options), async (way) => attempt(way, signal))
  } catch (error) {
    if (callers?.aborted === true) throw callers.reason
    if (!deadline.aborted) throw error
    throw new BackstayError(
      'POSTGRES_UNREACHABLE',
      `Cannot connect to ${describeServer(options)}: no answer within ${formatDuration(connectTimeoutMs)}`,
    )
  }
}

async function tryEach<T>(
  ways: readonly Encryption[],
  attempt: (way: Encryption) => Promise<T>,
): Promise<T> {
  const [way = 'plain', ...others] = ways
  try {
    return await attempt(way)
  } catch (error) {
    if (others.length === 0 || !isRefusal(error)) throw error
    return tryEach(others, attempt)
  }
}

function isRefusal(error: unknown): boolean {
  return (
    isBackstayError(error, 'POSTGRES_TLS') ||
    isBackstayError(error, 'POSTGRES_HBA') ||
    isBackstayError(error, 'POSTGRES_AUTH')
  )
}
