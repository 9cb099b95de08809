/**
 * The clone on the standby's own machine, ordered by a Backstay elsewhere.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { LocalHost } from '../../host/local-host.ts'
import type { Clock } from '../../util/clock.ts'
import { thisWorker } from '../../cluster/clone-process.ts'
import { protectionOf } from '../../cluster/protection.ts'
import { makeStandby } from './make-standby.ts'
import { parseRemoteOrder, type RemoteProgress } from './remote-order.ts'

const CONNECT_TIMEOUT_MS = 10_000

/** The way to stop and to tell. */
export interface CloneHereOptions {
  /** From the command line, by which this process is known; the order must name the same. */
  readonly directory: string
  /** Aborts as soon as whoever gave the order is gone. */
  readonly signal: AbortSignal
  readonly clock: Clock
  tell(progress: RemoteProgress): void
}

/**
 * Carries the order out that `line` is.
 * @throws USAGE when it is none for that directory; what `makeStandby` throws.
 */
export async function cloneHere(line: string, options: CloneHereOptions): Promise<void> {
  const { machine, clone, password } = parseRemoteOrder(line)
  const { signal, clock } = options
  const { server, primary, wanted, owner } = clone
  if (server.directory !== options.directory) {
    throw new BackstayError(
      'USAGE',
      `Cannot clone into "${options.directory}": the order names "${server.directory}"`,
    )
  }
  const host = new LocalHost(machine)
  if (host.user !== 'root' && host.user !== owner) {
    throw new BackstayError(
      'HOST_PRIVILEGE',
      `Cannot clone to server "${server.name}": its files belong to "${owner}", the clone runs as "${host.user}"`,
    )
  }
  await makeStandby(clone, {
    host,
    connection: {
      host: primary.address,
      port: primary.port,
      user: wanted.replication.role,
      password,
      applicationName: 'backstay',
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      signal,
      ...protectionOf(wanted, primary.address),
    },
    worker: thisWorker(),
    signal,
    clock,
    progress: (doneBytes, totalBytes) => options.tell({ doneBytes, totalBytes }),
    crashPoint: async () => signal.throwIfAborted(),
  })
}
