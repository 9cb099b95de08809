/**
 * The worker thread's own file: takes jobs, posts answers. Started by worker-pool.ts only.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { UnreadableError } from './slot-reads.ts'
import type { UnitJob, WorkerAnswer } from './unit-job.ts'
import { unitWork, type UnitWorkSettings } from './unit-work.ts'

const work = unitWork(workerData as UnitWorkSettings)

parentPort?.on('message', (job: UnitJob) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
  parentPort?.postMessage(answerTo(job))
})

function answerTo(job: UnitJob): WorkerAnswer {
  try {
    return work(job)
  } catch (error) {
    if (error instanceof UnreadableError) {
      return { slot: job.slot, failure: error.message, unreadable: true }
    }
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { slot: job.slot, failure, unreadable: false }
  }
}
