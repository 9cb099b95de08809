/**
 * Restores into a directory of this machine, with the WAL recovery needs beside the data unless it
 * is to be fetched later.
 *
 * The WAL is copied first, outside of the directory, and moved into it before the engine names
 * pg_control: whatever the process dies at, no directory can be started that lacks its WAL.
 */
import { cpSync, renameSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import type { BarmanServer } from '../../config/barman/model.ts'
import { LocalHost } from '../../host/local-host.ts'
import { commandWord } from '../../postgres/command-word.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { holdBackup } from '../../repository/use-backup.ts'
import type { RestoreSources } from '../../restore/restore-sources.ts'
import type { RestorePlan } from '../../restore/plan.ts'
import {
  localPlace,
  restoreBackup,
  type RestoreBackupWish,
  type RestoreEvent,
} from '../../work/restore-backup.ts'
import type { BarmanContext } from '../context.ts'
import type { BarmanRestoreOrder } from './order.ts'
import { tablespaceMapping } from './tablespaces.ts'
import { copyWal } from './wal-copy.ts'

/** A planned restore and where it comes from. */
export interface PlannedRestore {
  readonly context: BarmanContext
  readonly server: BarmanServer
  readonly repository: ClusterRepository
  readonly sources: RestoreSources
  readonly plan: RestorePlan
  readonly order: BarmanRestoreOrder
  /** Where files are written now; the order's destination is where they are when recovery runs. */
  readonly directory: string
  /**
   * Where tablespaces (by oid) and the WAL staging directory are written now, when that is not
   * where they will be.
   */
  readonly elsewhere?: {
    readonly tablespaces: ReadonlyMap<string, string>
    readonly wal: string
  }
}

const HOLD_MS = 24 * 3_600_000
const WAL_FOLDER = 'barman_wal'

/** Restores; returns what the operator ought to look at, as sentences. */
export async function restoreLocally(planned: PlannedRestore): Promise<readonly string[]> {
  const { context, repository, plan, sources } = planned
  const { clock, signal, output } = context
  const host = new LocalHost('localhost')
  const place = localPlace({ repository, map: sources.map, host, clock }, plan)
  let wal: StagedWal | undefined
  const beforehand = async (): Promise<StagedWal> => {
    await holdForGetWal(planned)
    wal = await stageWal(planned)
    output.info('Copying the base backup.')
    return wal
  }
  const on = (event: RestoreEvent): void => {
    // Nothing is synced yet, and pg_control has no name.
    if (event.kind === 'phase' && event.phase === 'sync') wal?.moveIn()
  }
  const wish = { ...(await wishOf(planned)), beforehand }
  return (await restoreBackup(place, wish, { signal, on })).prepared.warnings
}

async function wishOf(planned: PlannedRestore): Promise<RestoreBackupWish> {
  const { context, server, plan, order, directory, elsewhere } = planned
  const rules = { rules: order.tablespaces, info: plan.backup }
  return {
    order: {
      plan,
      directory,
      tablespaces: elsewhere?.tablespaces ?? (await tablespaceMapping(context, server, rules)),
      // Where Barman's users expect them; as root only where they are told to go.
      tablespaceRoots: process.getuid?.() === 0 ? [] : 'any',
      isDelta: order.isDelta,
      allowDataLoss: false,
    },
    recovery: {
      restoreCommand: restoreCommandOf(planned),
      ...endCommandOf(planned),
      keepArchiving: false,
      port: undefined,
    },
    owner: undefined,
    jobs: order.jobs,
  }
}

/** WAL that is fetched while recovering must not expire meanwhile. */
async function holdForGetWal({ repository, plan, order }: PlannedRestore): Promise<void> {
  if (!order.getWal) return
  const purpose = `the recovery of "${order.destination}"`
  await holdBackup(repository, plan.backup.id, { purpose, forMs: HOLD_MS })
}

/** The command recovery gets its WAL with. */
function restoreCommandOf({ server, order }: PlannedRestore): string {
  const { getWal, remote, standbyMode, portOption } = order
  if (!getWal) return `cp ${commandWord(walDirectoryOf(order))}/%f "%p"`
  const partial = standbyMode ? '' : ' -P'
  if (remote === undefined) return `barman get-wal${partial} ${commandWord(server.name)} %f > %p`
  const parallel = server.parallelJobs > 1 ? ` -p ${server.parallelJobs}` : ''
  const port = portOption === undefined ? '' : ` --port ${portOption}`
  return `barman-wal-restore${partial}${port} -U barman ${hostname()} ${commandWord(server.name)} %f %p${parallel}`
}

function walDirectoryOf({ destination, stagingWalDirectory }: BarmanRestoreOrder): string {
  return stagingWalDirectory ?? join(destination, WAL_FOLDER)
}

interface StagedWal extends AsyncDisposable {
  /** Puts the WAL at its place. */
  moveIn(): void
}

async function stageWal(planned: PlannedRestore): Promise<StagedWal> {
  const { context, repository, plan, order } = planned
  if (order.getWal) return { moveIn: () => {}, [Symbol.asyncDispose]: async () => {} }
  context.output.info('Copying required WAL segments.')
  const named = order.stagingWalDirectory
  const directory =
    named === undefined ? await stagingBeside(planned) : (planned.elsewhere?.wal ?? named)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await copyWal(repository, plan, { directory, signal: context.signal })
  const isStaged = order.stagingWalDirectory === undefined
  return {
    moveIn: () => {
      if (isStaged) move(directory, join(planned.directory, WAL_FOLDER))
    },
    [Symbol.asyncDispose]: async () => {
      if (isStaged) await rm(directory, { recursive: true, force: true })
    },
  }
}

/**
 * Beside the destination, so that moving is renaming; where that is not allowed, in the server's
 * own directory.
 */
async function stagingBeside({ server, directory }: PlannedRestore): Promise<string> {
  try {
    return await mkdtemp(join(dirname(directory), '.barman_wal-'))
  } catch {
    await mkdir(server.backupDirectory, { recursive: true, mode: 0o700 })
    return await mkdtemp(join(server.backupDirectory, '.barman_wal-'))
  }
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    cpSync(from, to, { recursive: true })
  }
}

/**
 * A standby never ends its recovery by itself, and a promotion ends it too: the WAL is not needed
 * after that.
 */
function endCommandOf({ order }: PlannedRestore): { endCommand?: string } {
  return order.getWal ? {} : { endCommand: `rm -fr ${commandWord(walDirectoryOf(order))}` }
}
