/**
 * Judges a segment that the receiver finished, and stores it. One that is damaged is kept beside
 * the spool's files, and its place becomes free: the next session receives it anew while the server
 * has it. When the same damage comes again it is the server's own: then the segment counts as lost,
 * so that receiving goes on.
 */
import { access, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { addBytes } from '../postgres/lsn.ts'
import { formatSegmentName, segmentStart } from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { syncDirectory } from '../util/sync-directory.ts'
import type { BlocksKeeper } from './blocks-keeper.ts'
import { describeContested, storeOverPushed } from './contested.ts'
import { recordGap } from './gaps.ts'
import { heldBefore, heldHistory, storeJudged } from './judged-segment.ts'
import type { ReceiverOptions } from './receiver-options.ts'
import type { SegmentJudge } from './segment-judge.ts'
import { damagedFileName } from './spool-names.ts'
import { spoolOf } from './spool-place.ts'
import type { FinishedSegment } from './spool-writer.ts'
import { recordMinimal } from './wal-level.ts'

/** Who judges, for which receiver. */
export interface ReceivedContext {
  readonly options: ReceiverOptions
  readonly judge: SegmentJudge
  readonly maps: BlocksKeeper
}

/**
 * Stores the segment, or sets its file aside.
 * @throws {BackstayError} WAL_INVALID when it was set aside and has to be received anew;
 * WAL_CONFLICT with what was not pushed, STORE, DISK_SPACE
 */
export async function storeReceived(
  { options, judge, maps }: ReceivedContext,
  finished: FinishedSegment,
  content: Buffer,
): Promise<void> {
  const { repository, onEvent } = options
  const name = formatSegmentName(finished.segment, repository.identity.segmentBytes)
  const history = await heldHistory(repository, finished.segment.timeline)
  const before = (): ReturnType<typeof heldBefore> => heldBefore(repository, name, history)
  const judged = await judge.judge({ name, content }, { history, before })
  const { problem, walLevels, blocks, coverage } = judged
  if (problem === undefined) {
    await recordMinimal(repository, finished.segment.timeline, walLevels)
    await storeRight(options, name, content)
    // Without it whoever needs it reads the segment.
    if (blocks !== undefined && coverage === 'all') await maps.keep(name, blocks)
    return
  }
  const path = join(spoolOf(repository).directory, damagedFileName(name, content))
  const cameBefore = await isThere(path)
  await rename(finished.path, path)
  await syncDirectory(spoolOf(repository).directory)
  const text = `Received segment "${name}" is damaged: ${problem}. It is kept as "${path}"`
  if (!cameBefore) throw damaged(text)
  await recordDamage(repository, finished, problem)
  onEvent({ kind: 'gap', text: `${text}; the server sent the same again, so its WAL is lost` })
}

/** What the primary streams wins over what came with a key. */
async function storeRight(
  { repository, onEvent }: ReceiverOptions,
  name: string,
  content: Buffer,
): Promise<void> {
  const contested = await storeOverPushed(repository, name, async () => {
    const outcome = await storeJudged(repository, { name, content })
    if (outcome !== 'replaced') return
    onEvent({ kind: 'replaced', text: `Segment ${name} in the repository was damaged: replaced` })
  })
  if (contested !== undefined) onEvent({ kind: 'contested', text: describeContested(contested) })
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

async function recordDamage(
  repository: ClusterRepository,
  { segment }: FinishedSegment,
  problem: string,
): Promise<void> {
  const { segmentBytes } = repository.identity
  const startLsn = segmentStart(segment, segmentBytes)
  const endLsn = addBytes(startLsn, segmentBytes)
  const reason = `The server's own copy is damaged: ${problem}`
  await recordGap(repository, { timeline: segment.timeline, startLsn, endLsn }, reason)
}

function damaged(text: string): BackstayError {
  return new BackstayError('WAL_INVALID', text, {
    hint: 'It is received again if the server still has it. If that fails too, check the disks of both machines, and take a backup.',
  })
}
