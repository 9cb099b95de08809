/**
 * Whether a directory may be the only place where WAL is. Position and timeline prove nothing: a
 * primary that was set back to an older state has passed them with other WAL. What was compared
 * does: with the primary or, of WAL that the primary has given up, with the backup server where its
 * WAL goes on to the primary's. WAL alone that does not is nobody's data: there need not be a
 * backup to which it belongs.
 */
import { type ClusterContext, orElse } from '../cluster/context.ts'
import { isPrimaryLike, type MemberFound } from '../cluster/leader.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { wantedServer } from '../cluster/wanted-server.ts'
import { isStreaming } from '../build/plan/attach-plan.ts'
import { type JudgedServer, judgeMember, lineageOf } from './lineage.ts'
import { compareWal } from './same-wal.ts'
import { readControl } from './shutdown-record.ts'
import { directoryReader } from './wal-readers.ts'
import { repositorySource } from './wal-sources.ts'

/**
 * Anything but a standby of which it is certain that others have all it has: a former primary may
 * look like one.
 */
export async function mayHoldMore(
  context: ClusterContext,
  member: MemberFound,
  leader: MemberFound | undefined,
): Promise<boolean> {
  if (isPrimaryLike(member) || leader === undefined) return true
  if (isStreaming(leader.sql, member)) return false
  return await orElse(async () => {
    const judged = await judgeMember(context, member)
    const primary = wantedServer(context.wanted, leader.name)
    const lineage = await lineageOf(context, judged, primary)
    if (lineage.kind !== 'same') return true
    return !lineage.isCompared && !(await leadsToPrimary(context, judged, primary))
  }, true)
}

/**
 * Whether the backup server's WAL is the standby's where that ends, and the primary's where its own
 * ends.
 */
async function leadsToPrimary(
  context: ClusterContext,
  { server, end, own }: JudgedServer,
  primary: ServerWanted,
): Promise<boolean> {
  if (end === undefined) return false
  const { segmentBytes } = await readControl(context, server)
  const standing = { ...end, history: own.history, segmentBytes }
  const source = await repositorySource(context, standing)
  if (source === undefined) return false
  const reader = await directoryReader(context, server, segmentBytes)
  const there = { reader: source, standing }
  if ((await compareWal({ reader, standing }, there, end.lsn)) !== 'same') return false
  const further = { timeline: end.timeline, lsn: source.endLsn }
  const given = { server, end: further, own, reader: source }
  const { kind, isCompared } = await lineageOf(context, given, primary)
  return kind === 'same' && isCompared
}
