/**
 * Removes a cluster for good: data directories that are provably its own, their password files and logs, and what the
 * state directory remembers. Archives, repositories and everything foreign stay.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { fencePathOf } from '../host/boot-guard.ts'
import type { Host } from '../host/host.ts'
import { postgresServiceOf } from '../host/postgres-unit.ts'
import { removeUnit } from '../host/systemd.ts'
import { CONTROL_FILE_PATH } from '../postgres/control-file.ts'
import { removeUnfinishedClone, writeCloneMark } from './clone/clone-mark.ts'
import type { ClusterContext, Machine } from './context.ts'
import { type DownOptions, stopAll } from './down.ts'
import type { ClusterFound, ServerFound } from './found.ts'
import { lockCluster } from './lock.ts'
import { lookCluster } from './look/look.ts'
import { CLONE_MARK_NAME, passfilePathOf, startLogPathOf } from './names.ts'
import { isMember } from './plan/leader.ts'
import { wantedServer } from './plan/plan.ts'
import { removeBackupService } from './service/stop-service.ts'
import { errorOf, warning } from './plan/problem.ts'
import { closeWays } from './way/open-way.ts'
import { wayDirectoryOf } from './way/way-files.ts'
import type { ServerWanted } from './wanted.ts'

/** Whether the operator said so. */
export interface DestroyOptions extends DownOptions {
  readonly isConfirmed: boolean
}

/** What is gone and what stayed. */
export interface DestroyResult {
  readonly removed: readonly string[]
  /** Directories of the cluster file that stayed, and why. */
  readonly kept: readonly string[]
}

/**
 * Stops everything and removes it.
 * @throws NEEDS_CONFIRMATION; HOST_UNREACHABLE before anything is changed when a server cannot be looked at.
 */
export async function destroyCluster(
  context: ClusterContext,
  options: DestroyOptions,
): Promise<DestroyResult> {
  const { wanted, state } = context
  if (!options.isConfirmed) {
    throw new BackstayError(
      'NEEDS_CONFIRMATION',
      `Will not destroy cluster "${wanted.name}" unasked: all its data would be gone`,
    )
  }
  await using lock = await lockCluster(context, 'down --destroy')
  void lock
  const found = await lookCluster(context, { forPlan: false })
  refuseSilent(found)
  await stopAll(context, options)
  const removed: string[] = []
  const kept: string[] = []
  for (const server of found.servers) {
    const wish = wantedServer(wanted, server.name)
    const fate = fateOf(found, server)
    if (fate.action === 'remove') removed.push(...(await removeServer(context, wish, server)))
    if (fate.action === 'keep') kept.push(`${wish.directory}: ${fate.reason}`)
    await context.crashPoint(`destroyed ${server.name}`)
  }
  const { archiveDirectory } = wanted.replication
  if (archiveDirectory !== undefined) kept.push(`${archiveDirectory}: archived WAL stays`)
  await closeWays(context)
  await removeBackupService(context)
  await state.forget()
  return { removed, kept }
}

/** Half a cluster destroyed is a cluster whose other half nobody remembers. */
function refuseSilent(found: ClusterFound): void {
  const silent = found.servers.flatMap((server) =>
    server.hostError === undefined
      ? []
      : [
          warning(server.name, {
            ...server.hostError,
            message: `Cannot destroy server "${server.name}": ${server.hostError.message}`,
          }),
        ],
  )
  if (silent.length > 0) throw errorOf(silent)
}

/** What is to be done with a server's directory. */
type Fate =
  | { readonly action: 'remove' | 'nothing' }
  | { readonly action: 'keep'; readonly reason: string }

function fateOf(found: ClusterFound, server: ServerFound): Fate {
  const { directory } = server
  if (directory.state === 'foreign') return { action: 'keep', reason: directory.content }
  if (directory.state === 'data') {
    return isMember(found, server)
      ? { action: 'remove' }
      : { action: 'keep', reason: 'it is of another cluster' }
  }
  const isHalf = directory.state === 'clone-unfinished' || directory.state === 'initdb-unfinished'
  return { action: isHalf ? 'remove' : 'nothing' }
}

async function removeServer(
  context: ClusterContext,
  wish: ServerWanted,
  found: ServerFound,
): Promise<readonly string[]> {
  const machine = await context.machineOf(wish)
  const { host } = machine
  const { directory } = wish
  if (found.directory.state === 'data') await markForRemoval(context, machine, wish)
  const names = (await host.list(directory)) ?? []
  if (names.includes(CLONE_MARK_NAME)) await removeUnfinishedClone(host, directory)
  const beside = [
    passfilePathOf(directory),
    startLogPathOf(directory),
    fencePathOf(directory),
    wayDirectoryOf(directory),
  ]
  const extras = [...beside, ...found.asides]
  if (machine.usesSystemd)
    await removeUnit(host, postgresServiceOf(context.wanted.name, wish.name).unit)
  for (const path of [directory, ...extras]) await host.remove(path)
  const place = wish.host.local ? '' : `${wish.host.address}:`
  return [directory, ...found.asides].map((path) => `${place}${path}`)
}

/**
 * Turns the directory into what an unfinished clone looks like, then it can be removed in any number of tries: from the
 * moment pg_control is gone it can neither be started nor be taken for a cluster.
 */
async function markForRemoval(
  context: ClusterContext,
  { host, osUser }: Machine,
  server: ServerWanted,
): Promise<void> {
  await writeCloneMark(host, server.directory, {
    server: server.name,
    source: 'down --destroy',
    startedAt: new Date(context.clock.now()).toISOString(),
    tablespaces: await tablespacesOf(host, server.directory),
    owner: osUser,
  })
  await host.remove(posix.join(server.directory, CONTROL_FILE_PATH))
}

/** Where the links in pg_tblspc lead. */
export async function tablespacesOf(host: Host, directory: string): Promise<readonly string[]> {
  const folder = posix.join(directory, 'pg_tblspc')
  const targets: string[] = []
  for (const name of (await host.list(folder)) ?? []) {
    const target = (await host.inspect(posix.join(folder, name)))?.target
    if (target?.startsWith('/') === true) targets.push(target)
  }
  return targets
}
