/**
 * Lets a database server read one cluster's part of the repository: objects, the plan of a restore, and a hold on the backup that
 * is restored, for as long as the connection lasts. Nothing is written but that hold.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { REPOSITORY_OBJECT } from '../../repository/format.ts'
import type { HeldLock } from '../../repository/lock.ts'
import type { RestorePlan } from '../../restore/plan.ts'
import { type PipeHandler, servePipe } from '../../store/pipe-server.ts'
import type { ContinuityMap } from '../../wal/continuity.ts'
import type { CommandContext } from '../context.ts'
import { readVersion } from '../version.ts'

/** Changes when calls or the values that answer them do. */
const PIPE_PROTOCOL = 1

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

/** This program's. */
export function pipeVersion(): PipeVersion {
  return { protocol: PIPE_PROTOCOL, version: readVersion() }
}

/** Serves until the other side ends. */
export async function serveRepository(
  { stdin, stdout, signal }: Pick<CommandContext, 'stdin' | 'stdout' | 'signal'>,
  repository: ClusterRepository,
): Promise<void> {
  const { store, identity } = repository
  const held: HeldLock[] = []
  const calls: Readonly<Record<string, PipeHandler>> = {
    version: async () => pipeVersion(),
    plan: async (words) => plan(repository, words, signal),
    use: async ({ backup }) => void held.push(await use(repository, backup)),
  }
  const sees = (name: string): boolean =>
    name === REPOSITORY_OBJECT ||
    name === identity.cluster ||
    name.startsWith(`${identity.cluster}/`)
  try {
    await servePipe({ store, sees, calls }, stdin, stdout)
  } finally {
    for (const lock of held) await lock[Symbol.asyncDispose]()
  }
}

async function plan(
  repository: ClusterRepository,
  given: unknown,
  signal: AbortSignal,
): Promise<PlannedThere> {
  // Reads of prefetched WAL come without a plan: what it needs is loaded for it alone.
  const [{ WishWords, wishFrom }, { loadSources }, { planRestore }] = await Promise.all([
    import('../../cluster/restore-there/restore-order.ts'),
    import('../../restore/load-sources.ts'),
    import('../../restore/plan.ts'),
  ])
  const words = WishWords.safeParse(given)
  if (!words.success) throw new BackstayError('USAGE', 'Cannot plan: what came is no wish')
  const sources = await loadSources(repository, signal)
  const wish = await wishFrom(words.data, repository)
  return { plan: await planRestore(wish, sources), map: sources.map }
}

async function use(repository: ClusterRepository, id: unknown): Promise<HeldLock> {
  const [{ findBackup }, { useBackup }] = await Promise.all([
    import('../../repository/catalogue.ts'),
    import('../../repository/use-backup.ts'),
  ])
  const { info } = await findBackup(repository, typeof id === 'string' ? id : '')
  return await useBackup(repository, info.id, `restoring backup ${info.id} on a database server`)
}
