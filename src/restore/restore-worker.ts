/**
 * The restore worker's own file: takes batches of jobs one after the other, posts answers. Started
 * by restore-workers.ts only.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { isBackstayError } from '../errors/backstay-error.ts'
import { fileError } from '../host/file-error.ts'
import { clusterNames } from '../repository/format.ts'
import { openStore } from '../store/address.ts'
import type {
  BatchAnswer,
  FileWorkSettings,
  JobBatch,
  JobResult,
  WorkerFailure,
  WorkerJob,
} from './worker-job.ts'
import { checkStretch, writeStretch } from './worker-writes.ts'
import { HeldPlaces } from './held-places.ts'
import { UnitSource } from './unit-source.ts'

const { store, cluster, held } = workerData as FileWorkSettings
// Never closed: the thread ends with its last job, and the directories it opened are the main
// thread's to forget.
const places = new HeldPlaces(held)
const units = new UnitSource(await openStore(store), clusterNames(cluster))
let earlier: Promise<void> = Promise.resolve()

parentPort?.on('message', (batch: JobBatch) => {
  earlier = earlier.then(() => answer(batch))
})

async function answer(batch: JobBatch): Promise<void> {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
  parentPort?.postMessage(await answerOf(batch))
}

async function answerOf(batch: JobBatch): Promise<BatchAnswer> {
  const results: JobResult[] = []
  for (const job of batch.jobs) {
    try {
      results.push(await work(job))
    } catch (error) {
      return { number: batch.number, failure: failureOf(job, error) }
    }
  }
  return { number: batch.number, results }
}

async function work(job: WorkerJob): Promise<JobResult> {
  const path = places.item(job.path)
  const { owner } = held
  return job.how === 'check' ? checkStretch(path, job) : writeStretch(units, job, { path, owner })
}

function failureOf(job: WorkerJob, error: unknown): WorkerFailure {
  const action = `${job.how === 'check' ? 'read' : 'write'} "${job.path}"`
  const known = isBackstayError(error) ? error : fileError('this machine', action, error)
  return { code: known.code, message: known.message, hint: known.hint }
}
