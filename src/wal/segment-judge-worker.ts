/**
 * The thread's own file: takes requests, posts judgements. Started by segment-judge.ts only.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { SegmentChain } from '../postgres/segment-chain.ts'
import { SegmentBlocksBuilder } from '../postgres/segment-blocks.ts'
import { encodeSegmentBlocks } from '../repository/block-map-bytes.ts'
import type { ClusterIdentity } from '../repository/cluster-repository.ts'
import { coverageOf } from './blocks-coverage.ts'
import type { JudgeRequest, SegmentJudgement } from './segment-judge.ts'

const { systemIdentifier, major, segmentBytes } = workerData as ClusterIdentity
let builder = new SegmentBlocksBuilder(major)
let chain: SegmentChain | undefined

parentPort?.on('message', (request: JudgeRequest) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
  parentPort?.postMessage(judge(request))
})

function judge({ segment, before, follows, history }: JudgeRequest): SegmentJudgement {
  if (!follows || chain === undefined) chain = begin(history)
  if (before !== undefined) chain.seed(before)
  // The record that crosses from the segment before belongs to this one.
  builder = new SegmentBlocksBuilder(major)
  const problem = chain.push(segment)
  const gathered = builder.finish()
  const blocks = gathered.problem === undefined ? encodeSegmentBlocks(gathered) : undefined
  const coverage = coverageOf(gathered, segment.name, segmentBytes)
  return { problem, walLevels: gathered.walLevels, blocks, coverage }
}

function begin(history: JudgeRequest['history']): SegmentChain {
  return new SegmentChain({
    systemIdentifier,
    major,
    segmentBytes,
    history,
    onRecord: (record) => builder.add(record),
  })
}
