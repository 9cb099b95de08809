/**
 * Work of the schedule that failed, as objects (docs/repository-format.md §9): it is told until
 * work of the same kind succeeds, whoever does that, and whether or not the service was started
 * anew meanwhile.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import type { Store } from '../store/store.ts'
import type { ClusterNames } from './format.ts'
import { readSealed, replaceSealed } from './sealed-object.ts'

const JOB_KINDS = ['backup', 'expire', 'verify'] as const

/** What the schedule does. */
export type JobKind = (typeof JOB_KINDS)[number]

/** The last failure of a kind. */
export interface FailedJob {
  readonly kind: JobKind
  /** ISO 8601 UTC. */
  readonly at: string
  /** Of the command; null when it ended otherwise. */
  readonly exitCode: number | null
}

/** The store, and the name a failure has in it. */
interface JobPlace {
  readonly store: Store
  readonly names: Pick<ClusterNames, 'failedJob'>
}

/** Notes a failure, in place of the one before. */
export async function noteFailedJob({ store, names }: JobPlace, job: FailedJob): Promise<void> {
  await replaceSealed(store, names.failedJob(job.kind), { ...job })
}

/** Work of this kind has succeeded. */
export async function clearFailedJob({ store, names }: JobPlace, kind: JobKind): Promise<void> {
  await store.delete(names.failedJob(kind))
}

/** Those whose kind has not succeeded since. A damaged note still says that something failed. */
export async function listFailedJobs({ store, names }: JobPlace): Promise<readonly FailedJob[]> {
  const failed: FailedJob[] = []
  for (const kind of JOB_KINDS) {
    try {
      const note = await readSealed(store, names.failedJob(kind))
      if (note !== undefined) failed.push({ ...(note as unknown as FailedJob), kind })
    } catch (error) {
      if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
      failed.push({ kind, at: 'an unknown time', exitCode: null })
    }
  }
  return failed
}
