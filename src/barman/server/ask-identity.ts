/**
 * Asks a server over the replication protocol what it is.
 */
import type { ServerIdentity } from '../../repository/cluster-repository.ts'
import { parseSize } from '../../util/size.ts'
import { ReplicationConnection } from '../../wire/replication-connection.ts'

/** Bounds the question while WAL waits to be stored. */
const ASK_TIMEOUT_MS = 5000

/** What a server says over the replication protocol. */
export interface StreamIdentity extends ServerIdentity {
  readonly timeline: number
}

/** Asks a server what it is. */
export async function askIdentity(
  connection: Parameters<typeof ReplicationConnection.connect>[0],
  signal: AbortSignal,
): Promise<StreamIdentity> {
  await using server = await ReplicationConnection.connect({
    connectTimeoutMs: ASK_TIMEOUT_MS,
    ...connection,
    signal,
  })
  const { systemIdentifier, timeline } = await server.identifySystem({ signal })
  const segmentBytes = parseSize(await server.show('wal_segment_size', { signal })) ?? 0
  return { systemIdentifier, major: server.major, segmentBytes, timeline }
}
