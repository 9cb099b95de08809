/**
 * Whether the server that is backed up is still the one that the backup was planned for.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { ReplicationConnection } from '../../wire/replication-connection.ts'
import type { ReceiveContext } from './receive-context.ts'

/**
 * Behind one address there may be another server by now, or the same one on another timeline: the
 * plan would be wrong.
 * @throws {BackstayError} POSTGRES_IDENTITY
 */
export async function checkSameServer(
  connection: ReplicationConnection,
  { server, options }: ReceiveContext,
): Promise<void> {
  const now = await connection.identifySystem({ signal: options.signal })
  const isSame =
    now.systemIdentifier === server.systemIdentifier && now.timeline === server.timeline
  if (isSame) return
  throw new BackstayError(
    'POSTGRES_IDENTITY',
    `Cannot take the backup as planned: the server was on timeline ${server.timeline} of ${server.systemIdentifier}, and is on ${now.timeline} of ${now.systemIdentifier} now`,
    { hint: 'Take it again.' },
  )
}
