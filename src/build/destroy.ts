/**
 * Removes a cluster for good: data directories that are provably its own, their password files and
 * logs, and what the state directory remembers. Archives, repositories and everything foreign stay.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { fencePathOf } from '../host/boot-guard.ts'
import type { Host } from '../host/host.ts'
import { postgresServiceOf } from '../host/postgres-unit.ts'
import { removeUnit } from '../host/systemd.ts'
import { CONTROL_FILE_PATH } from '../postgres/control-file.ts'
import { removeAsidePath } from './remove-aside.ts'
import { removeUnfinishedClone, writeCloneMark } from '../cluster/clone-mark.ts'
import type { ClusterContext, Machine } from '../cluster/context.ts'
import { type DownOptions, stopAll } from './down.ts'
import type { ClusterFound, ServerFound } from '../cluster/found.ts'
import { lockCluster } from '../cluster/lock.ts'
import { lookCluster } from '../cluster/look/look.ts'
import { CLONE_MARK_NAME, passfilePathOf, startLogPathOf } from '../cluster/names.ts'
import { isMember } from '../cluster/leader.ts'
import { wayEntryOf } from '../cluster/machine/client-files.ts'
import { removeBackupService } from '../fleet/stop-service.ts'
import { errorOf, warning } from '../cluster/problem.ts'
import { keptStatePathOf } from '../cluster/state/kept-state.ts'
import { closeWays } from '../fleet/open-way.ts'
import { refuseUnremovable, tablespaceLinksOf } from './tablespace-links.ts'
import { wayDirectoryOf } from '../cluster/machine/way-files.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

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
 * @throws NEEDS_CONFIRMATION; before anything is changed HOST_UNREACHABLE when a server cannot be
 * looked at, DIRECTORY_OWNER when a tablespace could not be emptied.
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
  await refuseStuck(context, found)
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

/** A link that leads to where nothing can be removed would end it half way. */
async function refuseStuck(context: ClusterContext, found: ClusterFound): Promise<void> {
  for (const server of found.servers) {
    const isDoomed = fateOf(found, server).action === 'remove' && server.directory.state === 'data'
    if (!isDoomed) continue
    const wish = wantedServer(context.wanted, server.name)
    await refuseUnremovable(await context.machineOf(wish), wish)
  }
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
  const { host, osUser: owner } = machine
  const { directory } = wish
  if (found.directory.state === 'data') {
    await markForRemoval(context, machine, { server: wish, source: 'down --destroy' })
  }
  const names = (await host.list(directory)) ?? []
  if (names.includes(CLONE_MARK_NAME)) await removeUnfinishedClone(host, { directory, owner })
  const beside = [
    passfilePathOf(directory),
    startLogPathOf(directory),
    fencePathOf(directory),
    wayDirectoryOf(directory),
    wayEntryOf(context.wanted.name, wish.name),
    ...(wish.host.local ? [] : [keptStatePathOf(context.wanted.name)]),
  ]
  if (machine.usesSystemd)
    await removeUnit(host, postgresServiceOf(context.wanted.name, wish.name).unit)
  for (const path of [directory, ...beside]) await host.remove(path)
  for (const path of found.asides) await removeAsidePath(machine, wish, path)
  const place = wish.host.local ? '' : `${wish.host.address}:`
  return [directory, ...found.asides].map((path) => `${place}${path}`)
}

/**
 * Turns the directory into what an unfinished clone looks like, then it can be removed in any
 * number of tries: from the moment pg_control is gone it can neither be started nor be taken for a
 * cluster.
 */
export async function markForRemoval(
  context: ClusterContext,
  { host, osUser }: Machine,
  { server, source }: { readonly server: ServerWanted; readonly source: string },
): Promise<void> {
  const links = await tablespaceLinksOf(host, server.directory)
  await writeCloneMark(host, server.directory, {
    server: server.name,
    source,
    startedAt: new Date(context.clock.now()).toISOString(),
    major: await majorOf(host, server.directory),
    tablespaces: links.map(({ target }) => target),
    owner: osUser,
  })
  await host.remove(posix.join(server.directory, CONTROL_FILE_PATH))
}

async function majorOf(host: Host, directory: string): Promise<number> {
  const text = (await host.readFile(posix.join(directory, 'PG_VERSION')))?.toString().trim() ?? ''
  if (/^\d+$/.test(text)) return Number(text)
  throw new BackstayError(
    'DIRECTORY_FOREIGN',
    `Will not remove "${directory}": its PG_VERSION says "${text}"`,
  )
}

/** Removes the directory that was marked, with what its tablespaces hold. */
export async function removeMarked(
  { host, osUser: owner }: Machine,
  directory: string,
): Promise<void> {
  const names = (await host.list(directory)) ?? []
  if (names.includes(CLONE_MARK_NAME)) await removeUnfinishedClone(host, { directory, owner })
  await host.remove(directory)
}
