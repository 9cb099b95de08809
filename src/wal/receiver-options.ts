/**
 * What a receiver is told: which server, which slot, which repository, and the bounds of its
 * waiting.
 */
import type { BackstayError } from '../errors/backstay-error.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import type { Clock } from '../util/clock.ts'
import type { ConnectionOptions } from '../wire/connection-options.ts'

/** Where WAL comes from and where it goes, and the bounds of the waiting. */
export interface ReceiverOptions {
  readonly repository: ClusterRepository
  /**
   * Where WAL may come from; of several the primary is looked for at every connect.
   * `applicationName` is what stands in synchronous_standby_names.
   */
  readonly servers: readonly ConnectionOptions[]
  /**
   * Physical slot; undefined receives without one, and then WAL can be lost while the receiver is
   * away.
   */
  readonly slot: string | undefined
  /**
   * Where a server before 15 is asked by SQL for the slot's position. Default: as it is received
   * from.
   */
  readonly sql?: ConnectionOptions
  /** Whether a missing or invalidated slot is made anew. */
  readonly createSlot: boolean
  readonly clock: Clock
  /** Told of everything an operator may want to read later. Must not throw. */
  readonly onEvent: (event: ReceiverEvent) => void
  /**
   * A server that is silent for so long, although asked, is given up (half-open TCP). Default 15 s.
   */
  readonly idleTimeoutMs?: number
  /** Bounds the last sync, acknowledgement and hand-over when it is stopped. Default 20 s. */
  readonly stopTimeoutMs?: number
}

/** Something that happened to a receiver, for its log; `error` where that is why. */
export interface ReceiverEvent {
  readonly kind:
    | 'connected'
    | 'streaming'
    | 'slot-created'
    | 'timeline-switched'
    | 'left-behind'
    | 'gap'
    | 'replaced'
    | 'contested'
    | 'disconnected'
    | 'failed'
    | 'hand-over-retried'
    | 'stopped'
  /** One sentence without full stop. */
  readonly text: string
  readonly error?: BackstayError
}
