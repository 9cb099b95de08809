/**
 * Lets a database server read one cluster's part of the repository: objects, the plan of a restore,
 * and a hold on the backup that is restored. Nothing is written but that hold.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { ReplayDemands } from '../../postgres/parameter-change.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { findBackup } from '../../repository/catalogue.ts'
import { REPOSITORY_OBJECT } from '../../repository/format.ts'
import {
  endHold,
  holdForServer,
  renewHolds,
  type ServerHold,
  useForServer,
} from '../../repository/hold-for-server.ts'
import type { HeldLock } from '../../repository/lock.ts'
import type { RestorePlan } from '../../restore/plan.ts'
import { type PipeHandler, servePipe } from '../../store/pipe-server.ts'
import type { ContinuityMap } from '../../wal/continuity.ts'
import { giveUpOutput } from '../../util/end-process.ts'
import type { CommandContext } from '../context.ts'
import { readVersion } from '../version.ts'

/** Changes when calls or the values that answer them do. */
const PIPE_PROTOCOL = 4

/** A client that is there says so every minute (store/pipe-client.ts). */
const IDLE_MS = 5 * 60_000

/** What both sides must have in common: plans travel as values of this program. */
export interface PipeVersion {
  readonly protocol: number
  readonly version: string
}

/** What is planned where the repository is. */
export interface PlannedThere {
  readonly plan: RestorePlan
  readonly map: ContinuityMap
}

/** What this program is, for the other side to compare. */
export function pipeVersion(): PipeVersion {
  return { protocol: PIPE_PROTOCOL, version: readVersion() }
}

/**
 * What is served, and whose key it is asked with: the holds of a server without a name are those of
 * the empty one.
 */
export interface ServedRepository {
  readonly repository: ClusterRepository
  readonly server: string | undefined
}

/** Serves until the other side ends, or is silent for minutes. */
export async function serveRepository(
  { stdin, stdout, signal }: Pick<CommandContext, 'stdin' | 'stdout' | 'signal'>,
  { repository, server = '' }: ServedRepository,
): Promise<void> {
  const { store, identity } = repository
  const held = new Map<string, Promise<HeldLock>>()
  const inTurn = turns()
  let recovery: Promise<ServerHold> | undefined
  const calls: Readonly<Record<string, PipeHandler>> = {
    version: async () => pipeVersion(),
    // Each reads the whole catalogue, and WAL.
    plan: async (words) => inTurn(async () => plan(repository, words, signal)),
    demands: async (words) => inTurn(async () => demands(repository, words, signal)),
    use: async ({ backup }) => use({ repository, server }, held, backup),
    // One a connection, which it outlives: the recovery goes on without it.
    hold: async ({ backup, forMs }) => {
      recovery ??= hold({ repository, server }, backup, forMs)
      await recovery
    },
    ping: async () => inTurn(async () => renewHolds(repository, server)),
    release: async () => {
      const ended = await recovery
      recovery = undefined
      // What took another recovery's place stays for that one.
      if (ended?.isFirst === true) await endHold(repository, ended.lock)
    },
  }
  const sees = (name: string): boolean =>
    name === REPOSITORY_OBJECT ||
    name === identity.cluster ||
    name.startsWith(`${identity.cluster}/`)
  const idle = { limitMs: IDLE_MS, giveUp: giveUpOutput }
  try {
    await servePipe({ store, sees, calls, idle }, stdin, stdout)
  } finally {
    for (const lock of held.values())
      await (await lock.catch(() => undefined))?.[Symbol.asyncDispose]()
  }
}

async function plan(
  repository: ClusterRepository,
  given: unknown,
  signal: AbortSignal,
): Promise<PlannedThere> {
  // Reads of prefetched WAL come without a plan: what it needs is loaded for it alone.
  const [{ WishWords, wishFrom }, { planInRepository }] = await Promise.all([
    import('../../fleet/restore-order.ts'),
    import('../../work/plan-restore.ts'),
  ])
  const words = WishWords.safeParse(given)
  if (!words.success) throw new BackstayError('USAGE', 'Cannot plan: what came is no wish')
  const wish = await wishFrom(words.data, repository)
  const { plan: made, sources } = await planInRepository(repository, wish, { signal })
  return { plan: made, map: sources.map }
}

/** What the WAL demands that the restore will replay; null when it says nothing. */
async function demands(
  repository: ClusterRepository,
  given: unknown,
  signal: AbortSignal,
): Promise<ReplayDemands | null> {
  const { surveyDemands } = await import('../../restore/replay-demands.ts')
  const planned = await plan(repository, given, signal)
  return (await surveyDemands(repository, planned.plan, signal)) ?? null
}

/** One connection restores one backup; each of its requests for it is the same. */
async function use(
  { repository, server = '' }: ServedRepository,
  held: Map<string, Promise<HeldLock>>,
  id: unknown,
): Promise<void> {
  const name = typeof id === 'string' ? id : ''
  const lock =
    held.get(name) ??
    findBackup(repository, name).then(async ({ info }) => useForServer(repository, info.id, server))
  if (!held.has(name)) lock.catch(() => held.delete(name))
  held.set(name, lock)
  await lock
}

async function hold(
  { repository, server = '' }: ServedRepository,
  id: unknown,
  forMs: unknown,
): Promise<ServerHold> {
  const { info } = await findBackup(repository, typeof id === 'string' ? id : '')
  return await holdForServer(repository, info.id, { server, forMs: Number(forMs) })
}

/** Does what it is given one after the other. */
function turns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return async (work) => {
    const done = last.then(work, work)
    last = done.catch(() => undefined)
    return await done
  }
}
