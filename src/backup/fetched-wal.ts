/**
 * WAL for a backup without a receiver: streamed from the server into the repository when it is
 * asked for. A temporary slot keeps it on the server from the moment this is opened.
 */
import { randomUUID } from 'node:crypto'
import { BackstayError } from '../errors/backstay-error.ts'
import { addBytes, formatLsn, type Lsn } from '../postgres/lsn.ts'
import {
  formatSegmentName,
  parseSegmentName,
  segmentOf,
  segmentStart,
} from '../postgres/segment-name.ts'
import { checkIdentity, type ClusterRepository } from '../repository/cluster-repository.ts'
import { heldBefore, heldHistory, invalidSegment } from '../wal/judged-segment.ts'
import { storeProved } from '../wal/store-proved.ts'
import { findWalEnd } from '../wal/wal-end.ts'
import { segmentCeiling, segmentFloor, type WalRange } from '../wal/wal-position.ts'
import type { ConnectionOptions } from '../wire/connection-options.ts'
import { ReplicationConnection } from '../wire/replication-connection.ts'
import { type CollectedSegment, SegmentCollector } from './segment-collector.ts'
import type { EnsureWalOptions, OpenWalAvailability, WalAvailability } from './wal-availability.ts'

/** Fetches over replication connections of its own, made with `options`. */
export function fetchedWal(options: ConnectionOptions): OpenWalAvailability {
  return async (cluster, signal) => {
    const keeper = await ReplicationConnection.connect({ ...options, signal })
    try {
      const slot = `backstay_${randomUUID().replaceAll('-', '').slice(0, 16)}`
      await keeper.createPhysicalSlot(slot, { temporary: true, signal })
      return new FetchedWal(cluster, keeper, options)
    } catch (error) {
      await keeper.close()
      throw error
    }
  }
}

class FetchedWal implements WalAvailability {
  readonly #cluster: ClusterRepository
  /** Holds the temporary slot, which goes with it. */
  readonly #keeper: ReplicationConnection
  readonly #connection: ConnectionOptions

  constructor(
    cluster: ClusterRepository,
    keeper: ReplicationConnection,
    connection: ConnectionOptions,
  ) {
    this.#cluster = cluster
    this.#keeper = keeper
    this.#connection = connection
  }

  async ensure(range: WalRange, options: EnsureWalOptions): Promise<void> {
    const { segmentBytes } = this.#cluster.identity
    const wanted = options.finishedOnly ? segmentCeiling(range.endLsn, segmentBytes) : range.endLsn
    const from = options.trustsHeld
      ? await this.#firstMissing(range)
      : segmentFloor(range.startLsn, segmentBytes)
    if (from >= wanted) return
    const timeout = AbortSignal.timeout(options.timeoutMs)
    const signals = options.signal === undefined ? [timeout] : [timeout, options.signal]
    const signal = AbortSignal.any(signals)
    try {
      await this.#fetch({ ...range, startLsn: from, endLsn: wanted }, signal)
    } catch (error) {
      if (error !== timeout.reason) throw error
      throw new BackstayError(
        'WAL_UNAVAILABLE',
        `Cannot fetch the WAL up to ${formatLsn(wanted)}: the server did not send it within ${Math.round(options.timeoutMs / 1000)} s`,
      )
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper.close()
  }

  /** Start of the first segment of the range that is not held. */
  async #firstMissing(range: WalRange): Promise<Lsn> {
    const { wal, identity } = this.#cluster
    const { segmentBytes } = identity
    let lsn = segmentFloor(range.startLsn, segmentBytes)
    while (lsn < range.endLsn) {
      const segment = segmentOf(lsn, { timeline: range.timeline, segmentBytes })
      if (!(await wal.hasSegment(formatSegmentName(segment, segmentBytes)))) return lsn
      lsn = addBytes(segmentStart(segment, segmentBytes), segmentBytes)
    }
    return lsn
  }

  async #fetch(range: WalRange, signal: AbortSignal): Promise<void> {
    const { identity, clock } = this.#cluster
    const collector = new SegmentCollector(range, identity.segmentBytes)
    const reached = Promise.withResolvers<void>()
    const { startLsn, timeline } = range
    await using connection = await ReplicationConnection.connect({ ...this.#connection, signal })
    const server = await connection.identifySystem({ signal })
    checkIdentity(identity, { ...identity, systemIdentifier: server.systemIdentifier })
    await using stream = await connection.startReplication(
      { startLsn, timeline, clock, signal },
      {
        data: async (_position, bytes) => {
          await collector.push(bytes, async (segment) => {
            await storeProved(this.#cluster, segment)
          })
          if (collector.position >= range.endLsn) reached.resolve()
        },
      },
    )
    await Promise.race([reached.promise, this.#endOf(stream.ended)])
    await stream.stop()
    const rest = collector.position < range.endLsn ? undefined : collector.unfinished()
    if (rest !== undefined) await this.#putPartial(rest, range.endLsn)
  }

  /** Whatever the server has written behind `endLsn` is stored too, as far as it came. */
  async #putPartial({ name, content }: CollectedSegment, endLsn: Lsn): Promise<void> {
    const { wal, identity } = this.#cluster
    const { segmentBytes } = identity
    const segment = parseSegmentName(name, segmentBytes)
    if (segment === undefined) throw new BackstayError('BUG', `"${name}" is no segment`)
    const history = await heldHistory(this.#cluster, segment.timeline)
    const before = (await heldBefore(this.#cluster, name, history))?.content
    const end = findWalEnd({ segment, segmentBytes, content, before })
    if (end.endLsn < endLsn) {
      throw invalidSegment(name, `its records are right up to ${formatLsn(end.endLsn)} only`)
    }
    await wal.putPartial(name, content)
  }

  /** A stream that ends by itself before it came far enough has failed. */
  async #endOf(ended: Promise<{ reason: string }>): Promise<void> {
    const { reason } = await ended
    throw new BackstayError(
      'WAL_UNAVAILABLE',
      `Cannot fetch WAL: the server ended the stream (${reason})`,
    )
  }
}
