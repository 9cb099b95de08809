/**
 * Whether a directory may be the only place where WAL is. Position and timeline prove nothing: a primary that was set back to an older state
 * has passed them with other WAL. What was compared does, with the primary or, of WAL that the primary has given up, with the backup server.
 */
import { type ClusterContext, factOf } from '../cluster/context.ts'
import { isPrimaryLike, type MemberFound } from '../cluster/leader.ts'
import { wantedServer } from '../cluster/wanted-server.ts'
import { isStreaming } from '../build/plan/attach-plan.ts'
import { judgeMember, lineageOf } from './lineage.ts'
import { compareWal } from './same-wal.ts'
import { readControl } from './shutdown-record.ts'
import { directoryReader } from './wal-readers.ts'
import { repositorySource } from './wal-sources.ts'

/** Anything but a standby of which it is certain that others have all it has: a former primary may look like one. */
export async function mayHoldMore(
  context: ClusterContext,
  member: MemberFound,
  leader: MemberFound | undefined,
): Promise<boolean> {
  if (isPrimaryLike(member) || leader === undefined) return true
  if (isStreaming(leader.sql, member)) return false
  try {
    const judged = await judgeMember(context, member)
    const lineage = await lineageOf(context, judged, wantedServer(context.wanted, leader.name))
    if (lineage.kind !== 'same') return true
    return !lineage.isCompared && !(await isInRepository(context, judged))
  } catch (error) {
    factOf(error)
    return true
  }
}

async function isInRepository(
  context: ClusterContext,
  { server, end, own }: Awaited<ReturnType<typeof judgeMember>>,
): Promise<boolean> {
  if (end === undefined) return false
  const { segmentBytes } = await readControl(context, server)
  const standing = { ...end, history: own.history, segmentBytes }
  const source = await repositorySource(context, standing)
  if (source === undefined) return false
  const reader = await directoryReader(context, server, segmentBytes)
  const there = { reader: source, standing }
  return (await compareWal({ reader, standing }, there, end.lsn)) === 'same'
}
