/**
 * Opens a server's part of the repository for writing, and makes it the first time: then the
 * server, or the first WAL that comes, says whose it is.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { parseWalFileName } from '../../postgres/segment-name.ts'
import {
  claimCluster,
  type ClusterRepository,
  type ServerIdentity,
} from '../../repository/cluster-repository.ts'
import type { BarmanContext } from '../context.ts'
import { withWalHooks } from '../wal-hooks.ts'
import { openServer, placeOf } from './barman-place.ts'

/**
 * The server's part of the repository, made when it is not there.
 * @throws {BackstayError} POSTGRES_UNREACHABLE, POSTGRES_AUTH, … when it has to be asked and does
 * not answer.
 */
export async function openOrClaim(
  context: BarmanContext,
  server: BarmanServer,
): Promise<ClusterRepository> {
  const opened = await openServer(context, server)
  if (opened !== undefined) return await withWalHooks(context, server, opened)
  // Loaded when it is needed, once in a server's life: put-wal starts for every segment.
  const { receiverConnection } = await import('./connections.ts')
  const { askIdentity } = await import('./ask-identity.ts')
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
    const { inspectSegment } = await import('../../postgres/wal-page.ts')
    const { identity, problem } = inspectSegment(file.content, file)
    if (identity !== undefined) return await claim(context, server, identity)
    throw new BackstayError('WAL_INVALID', `Cannot store WAL file "${file.name}": ${problem}`)
  }
}

async function claim(
  context: BarmanContext,
  server: BarmanServer,
  identity: ServerIdentity,
): Promise<ClusterRepository> {
  if (server.isServed === true) throw notMadeHere(server)
  const { store, name, clock } = placeOf(context, server)
  const { systemIdentifier, major, segmentBytes } = identity
  const claimed = { systemIdentifier, major, segmentBytes }
  const repository = await claimCluster({ store, name, clock, server: claimed })
  return await withWalHooks(context, server, repository)
}

/** A new one on the empty mount point of a missing disk would take WAL that nobody finds again. */
function notMadeHere({ name, repository }: BarmanServer): BackstayError {
  return new BackstayError(
    'REPOSITORY_MISSING',
    `There is nothing of "${name}" in repository "${repository ?? ''}", which Backstay's service keeps`,
    {
      hint: 'Is its disk mounted? A new one is made by backstay up, and filled first by the service.',
      details: { server: name, ...(repository === undefined ? {} : { repository }) },
    },
  )
}
