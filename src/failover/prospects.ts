/**
 * What can be said today about the day the primary is lost: whether acknowledged commits are
 * covered by the standbys that answer, and how the old primary would come back.
 */
import { type ClusterContext, orElse } from '../cluster/context.ts'
import type { SqlFound } from '../cluster/found-sql.ts'
import type { MemberFound } from '../cluster/leader.ts'
import type { Candidate } from '../cluster/takeover.ts'
import { isCovered, parseQuorum } from './quorum.ts'
import { rewindObstacle } from './rewind.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/**
 * Whether every commit that waited for a standby is on one of these candidates, so that a failover
 * to the furthest loses none. Pure.
 */
export function coversCommits(primary: SqlFound, ranked: readonly Candidate[]): boolean {
  if (primary.asynchronous?.includes('') === true) return false
  const names = primary.settings.get('synchronous_standby_names')?.value ?? ''
  const quorum = parseQuorum(names)
  return (
    quorum !== undefined &&
    isCovered(
      quorum,
      ranked.map(({ server }) => server),
    )
  )
}

/**
 * How a primary could follow after a failover, in one sentence; undefined when that cannot be
 * looked at.
 */
export async function wayBackOf(
  context: ClusterContext,
  primary: MemberFound,
): Promise<string | undefined> {
  const server = wantedServer(context.wanted, primary.name)
  return await orElse(async () => {
    const obstacle = await rewindObstacle(context, server, primary.directory.control)
    return obstacle === undefined
      ? `After a failover "${primary.name}" could be wound back (pg_rewind)`
      : `After a failover "${primary.name}" would have to be cloned anew if it has gone another way: ${obstacle}`
  }, undefined)
}
