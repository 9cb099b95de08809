/**
 * What the ways back of a rejoining server share.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import type { ErrorCode } from '../errors/codes.ts'
import { stopServer } from '../host/postgres-control.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { instanceOf } from '../build/steps/act-context.ts'
import type { RejoinJournal } from '../cluster/journal.ts'
import type { RejoinPlace } from './rejoin-place.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

const STOP_TIMEOUT_MS = 10 * 60_000

/**
 * How a server came back; `already` when it was streaming, `catch-up` when it took WAL from the
 * backup server, `built` when there was nothing in its place.
 */
export type WayBack = 'already' | 'follow' | 'catch-up' | 'rewind' | 'clone' | 'built'

/** One rejoin under way; what is learnt on the way is added to its lists. */
export interface RejoinCourse extends RejoinPlace {
  readonly journal: RejoinJournal
  readonly reasons: string[]
  readonly keptAside: string[]
}

/**
 * What stands in the way of a clone as well, or has passed when the command is typed again: it must
 * not cost a copy of the whole server, and the room for one. Who wants the copy all the same types
 * reclone.
 */
const NOT_MENDED_BY_CLONING: ReadonlySet<ErrorCode> = new Set([
  'BINARIES_MISSING',
  'DISK_SPACE',
  'HOST_PRIVILEGE',
  'HOST_UNREACHABLE',
  'PORT_IN_USE',
  'POSTGRES_AUTH',
  'POSTGRES_CONNECTION_LOST',
  'POSTGRES_HBA',
  'POSTGRES_LIMIT',
  'POSTGRES_TLS',
  'POSTGRES_UNREACHABLE',
  'SLOT_IN_USE',
  'SLOT_MISSING',
  'TIMEOUT',
])

/** One way back, or a part of it. */
interface RejoinAttempt<T> {
  readonly what: string
  readonly work: () => Promise<T>
  /** Whether even what cloning would not mend leads to the next way. */
  readonly isOptional?: boolean
}

/**
 * Runs one attempt; a failure becomes a reason for the next way.
 * @throws interruption, bugs; what cloning would not mend, when the attempt is not optional: the
 * same command goes on from there.
 */
export async function attempt<T>(
  context: ClusterContext,
  course: Pick<RejoinCourse, 'reasons'>,
  { what, work, isOptional = false }: RejoinAttempt<T>,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!isBackstayError(error) || error.code === 'BUG' || context.signal.aborted) throw error
    if (!isOptional && NOT_MENDED_BY_CLONING.has(error.code)) throw error
    course.reasons.push(`${what}: ${error.message}`)
    return undefined
  }
}

/** Stops the server that rejoins. */
export async function stopRejoining(context: ClusterContext, name: string): Promise<void> {
  const instance = await instanceOf(context, wantedServer(context.wanted, name))
  await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS, signal: context.signal })
}
