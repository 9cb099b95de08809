/**
 * What the ways back of a rejoining server share.
 */
import { isBackstayError } from '../../errors/backstay-error.ts'
import { stopServer } from '../../host/postgres-control.ts'
import type { ClusterContext } from '../context.ts'
import { wantedServer } from '../plan/plan.ts'
import { instanceOf } from '../steps/act-context.ts'
import type { RejoinJournal } from './journal.ts'
import type { RejoinPlace } from './rejoin-place.ts'

const STOP_TIMEOUT_MS = 10 * 60_000

/**
 * How a server came back; `already` when it was streaming, `catch-up` when it took WAL from the backup server, `built` when
 * there was nothing in its place.
 */
export type WayBack = 'already' | 'follow' | 'catch-up' | 'rewind' | 'clone' | 'built'

/** One rejoin under way; what is learnt on the way is added to its lists. */
export interface Course extends RejoinPlace {
  readonly journal: RejoinJournal
  readonly reasons: string[]
  readonly keptAside: string[]
}

/** Runs one attempt; a failure becomes a reason for the next way. @throws interruption, bugs */
export async function attempt<T>(
  context: ClusterContext,
  course: Course,
  { what, work }: { readonly what: string; readonly work: () => Promise<T> },
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!isBackstayError(error) || error.code === 'BUG' || context.signal.aborted) throw error
    course.reasons.push(`${what}: ${error.message}`)
    return undefined
  }
}

/** Stops the server that rejoins. */
export async function stopRejoining(context: ClusterContext, name: string): Promise<void> {
  const instance = await instanceOf(context, wantedServer(context.wanted, name))
  await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS, signal: context.signal })
}
