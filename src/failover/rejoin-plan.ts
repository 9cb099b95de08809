/**
 * Which way back a rejoin would take, as far as it can be told without touching the server. The
 * ways are tried from the cheapest on: one that fails is followed by the next, so what is told is
 * where it begins.
 */
import type { ClusterContext } from '../cluster/context.ts'
import { lookCluster } from '../cluster/look/look.ts'
import { isMember, type MemberFound } from '../cluster/leader.ts'
import { wantedServer } from '../cluster/wanted-server.ts'
import { isStreaming } from '../build/plan/attach-plan.ts'
import { findCatchUp, isServed } from './follow-primary.ts'
import { lineOf } from './line.ts'
import { endOfMember, lineageOf } from './lineage.ts'
import { attempt, type WayBack } from './rejoin-course.ts'
import { rejoinPlace, type RejoinPlace } from './rejoin-place.ts'
import { isBeingRewound } from './rewind.ts'
import { isFencedTorn } from './torn-fence.ts'
import { obstacleTo } from './wind-back.ts'

/** What a rejoin would begin with. */
export interface RejoinPlan {
  readonly server: string
  readonly primary: string
  readonly way: WayBack
  /** Why not an easier way, one sentence each. */
  readonly reasons: readonly string[]
  /** Client connections that would end, where it runs as a primary beside the other. */
  readonly endedConnections: number | undefined
}

/**
 * Looks, and changes nothing.
 * @throws {BackstayError} PRIMARY_MISSING, SPLIT_BRAIN, DIRECTORY_FOREIGN, USAGE as the rejoin
 * would
 */
export async function planRejoin(context: ClusterContext, name: string): Promise<RejoinPlan> {
  const found = await lookCluster(context, { forPlan: true })
  const place = rejoinPlace(context.wanted, found, name)
  const { server, primary } = place
  const reasons: string[] = []
  const way = isMember(found, server)
    ? await wayOf(context, { ...place, server, reasons })
    : ('built' as const)
  const isPrimary = server.running !== undefined && server.sql?.inRecovery === false
  return {
    server: name,
    primary: primary.name,
    way,
    reasons,
    endedConnections: isPrimary ? server.sql?.connections : undefined,
  }
}

interface Judgement extends RejoinPlace {
  readonly server: MemberFound
  readonly reasons: string[]
}

async function wayOf(context: ClusterContext, course: Judgement): Promise<WayBack> {
  const { server, primary, reasons } = course
  const wanted = wantedServer(context.wanted, server.name)
  if ((await isFencedTorn(context, wanted)) || (await isBeingRewound(context, wanted))) {
    reasons.push('a rewind of it died half-way')
    return 'clone'
  }
  if (isStreaming(primary.sql, server)) return 'already'
  const own = await lineOf(context, server)
  const end = await attempt(context, course, {
    what: 'where its WAL ends cannot be told',
    work: async () => endOfMember(context, server, own),
  })
  const to = wantedServer(context.wanted, primary.name)
  const lineage = await lineageOf(context, { server: wanted, end, own }, to)
  if (lineage.kind === 'same') {
    if (await isServed(context, course, end)) return 'follow'
    const isFed = (await findCatchUp(context, course, { end, own })) !== undefined
    return isFed ? 'catch-up' : 'clone'
  }
  reasons.push(`it cannot simply follow: ${lineage.reason}`)
  const obstacle = await obstacleTo(context, wanted, { lineage, end })
  if (obstacle === undefined) return 'rewind'
  reasons.push(`it cannot be rewound: ${obstacle}`)
  return 'clone'
}
