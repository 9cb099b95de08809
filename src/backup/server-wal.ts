/**
 * Reads a stretch of WAL from a server into memory: to be compared, not to be stored.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { bytesBetween, formatLsn } from '../postgres/lsn.ts'
import type { Clock } from '../util/clock.ts'
import type { WalRange } from '../wal/wal-position.ts'
import type { ConnectionOptions } from '../wire/connection-options.ts'
import { ReplicationConnection } from '../wire/replication-connection.ts'

const TIMEOUT_MS = 30_000

/** How it is read. */
export interface ServerWalOptions {
  readonly connection: ConnectionOptions
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * The bytes of `range`, which the server has flushed; undefined when it has removed them. Memory:
 * the whole range.
 * @throws {BackstayError} WAL_UNAVAILABLE when they do not come in time, and what the connection
 * throws.
 */
export async function readServerWal(
  range: WalRange,
  options: ServerWalOptions,
): Promise<Buffer | undefined> {
  if (range.startLsn >= range.endLsn) return undefined
  const timeout = AbortSignal.timeout(TIMEOUT_MS)
  const signal = AbortSignal.any([timeout, options.signal])
  try {
    return await receive(range, { ...options, signal })
  } catch (error) {
    if (isBackstayError(error, 'WAL_UNAVAILABLE')) return undefined
    if (error !== timeout.reason) throw error
    throw new BackstayError(
      'WAL_UNAVAILABLE',
      `Cannot read the server's WAL from ${formatLsn(range.startLsn)}: it did not come within ${TIMEOUT_MS / 1000} s`,
    )
  }
}

async function receive(
  { timeline, startLsn, endLsn }: WalRange,
  { connection: to, clock, signal }: ServerWalOptions,
): Promise<Buffer | undefined> {
  const content = Buffer.alloc(bytesBetween(startLsn, endLsn))
  let filled = 0
  const isThere = Promise.withResolvers<void>()
  await using connection = await ReplicationConnection.connect({ ...to, signal })
  await using stream = await connection.startReplication(
    { startLsn, timeline, clock, signal },
    {
      data: (_position, bytes) => {
        const part = bytes.subarray(0, content.length - filled)
        content.set(part, filled)
        filled += part.length
        if (filled === content.length) isThere.resolve()
      },
    },
  )
  await Promise.race([isThere.promise, stream.ended])
  await stream.stop()
  // A timeline that the server has left ends by itself.
  return filled === content.length ? content : undefined
}
