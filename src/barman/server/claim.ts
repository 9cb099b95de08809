/**
 * Opens a server's part of the repository for writing, and makes it the first time: then the server, or the first WAL that comes,
 * says whose it is.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { parseWalFileName } from '../../postgres/segment-name.ts'
import { inspectSegment } from '../../postgres/wal-page.ts'
import {
  claimCluster,
  type ClusterRepository,
  type ServerIdentity,
} from '../../repository/cluster-repository.ts'
import { parseSize } from '../../util/size.ts'
import { ReplicationConnection } from '../../wire/replication-connection.ts'
import type { BarmanContext } from '../context.ts'
import { receiverConnection } from './connections.ts'
import { openServer, placeOf } from './place.ts'

/** Bounds the question while WAL waits to be stored. */
const ASK_TIMEOUT_MS = 5000

/**
 * The server's part of the repository, made when it is not there.
 * @throws {BackstayError} POSTGRES_UNREACHABLE, POSTGRES_AUTH, … when it has to be asked and does not answer.
 */
export async function openOrClaim(
  context: BarmanContext,
  server: BarmanServer,
): Promise<ClusterRepository> {
  const opened = await openServer(context, server)
  if (opened !== undefined) return opened
  const connection = receiverConnection(server, context.environment)
  return await claim(context, server, await askIdentity(connection, context.signal))
}

/** The same; when the server does not answer, a segment says itself where it comes from. */
export async function openOrClaimBy(
  context: BarmanContext,
  server: BarmanServer,
  file: { readonly name: string; readonly content: Buffer },
): Promise<ClusterRepository> {
  try {
    return await openOrClaim(context, server)
  } catch (error) {
    const isSegment = parseWalFileName(file.name)?.kind === 'segment'
    if (!(error instanceof BackstayError) || !isSegment) throw error
    const { identity, problem } = inspectSegment(file.content, file)
    if (identity !== undefined) return await claim(context, server, identity)
    throw new BackstayError('WAL_INVALID', `Cannot store WAL file "${file.name}": ${problem}`)
  }
}

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

async function claim(
  context: BarmanContext,
  server: BarmanServer,
  identity: ServerIdentity,
): Promise<ClusterRepository> {
  const { store, name, clock } = placeOf(context, server)
  const { systemIdentifier, major, segmentBytes } = identity
  return await claimCluster({
    store,
    name,
    clock,
    server: { systemIdentifier, major, segmentBytes },
  })
}
