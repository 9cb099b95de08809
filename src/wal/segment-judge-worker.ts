/**
 * The thread's own file: takes requests, posts judgements. Started by segment-judge.ts only.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { SegmentChain } from '../postgres/segment-chain.ts'
import type { ClusterIdentity } from '../repository/cluster-repository.ts'
import type { JudgeRequest, SegmentJudgement } from './segment-judge.ts'
import { type WalLevelChange, walLevelChangeOf } from './wal-level.ts'

const { systemIdentifier, major, segmentBytes } = workerData as ClusterIdentity
let walLevels: WalLevelChange[] = []
let chain: SegmentChain | undefined

parentPort?.on('message', (request: JudgeRequest) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
  parentPort?.postMessage(judge(request))
})

function judge({ segment, before, follows, history }: JudgeRequest): SegmentJudgement {
  walLevels = []
  if (!follows || chain === undefined) chain = begin(history)
  if (before !== undefined) chain.seed(before)
  return { problem: chain.push(segment), walLevels }
}

function begin(history: JudgeRequest['history']): SegmentChain {
  return new SegmentChain({
    systemIdentifier,
    major,
    segmentBytes,
    history,
    onRecord: (record) => {
      const change = walLevelChangeOf(record, major)
      if (change !== undefined) walLevels.push(change)
    },
  })
}
