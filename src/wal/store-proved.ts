/**
 * Proves what is in a finished segment and stores it, for everybody who has it whole in memory.
 */
import type { NamedSegment } from '../postgres/segment-chain.ts'
import { type WalLevelChange, walLevelChangeOf } from '../postgres/wal-level-change.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { invalidSegment, judgeSegment, type StoreOutcome, storeJudged } from './judged-segment.ts'
import { recordMinimal } from './wal-level.ts'

/**
 * Every record is judged, also the one that began in the segment before when that is held. Durable
 * when it resolves; the content must not change until then.
 * @throws {BackstayError} WAL_INVALID when the content is not what the name says, WAL_CONFLICT,
 * STORE, DISK_SPACE
 */
export async function storeProved(
  repository: ClusterRepository,
  segment: NamedSegment,
): Promise<StoreOutcome> {
  const changes: WalLevelChange[] = []
  const problem = await judgeSegment(repository, segment, (record) => {
    const change = walLevelChangeOf(record, repository.identity.major)
    if (change !== undefined) changes.push(change)
  })
  if (problem !== undefined) throw invalidSegment(segment.name, problem)
  await recordMinimal(repository, Number.parseInt(segment.name.slice(0, 8), 16), changes)
  return await storeJudged(repository, segment)
}
