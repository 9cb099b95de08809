/**
 * Holds that a database server takes with its key. Its machine may have been broken into: it holds
 * few backups at a time, each with one hold, and a hold lasts for a day unless that server goes on
 * showing that it needs it.
 */
import { randomUUID } from 'node:crypto'
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { until } from '../util/until.ts'
import type { BackupId } from './backup-info.ts'
import type { ClusterRepository } from './cluster-repository.ts'
import { type FoundLock, findLocks, type HeldLock, takeLock } from './lock.ts'
import { backupLockName, checkHoldTime, type HoldWish } from './use-backup.ts'
import { greatest } from '../util/greatest.ts'

/** Backups that one server has in use or held. It restores one at a time. */
const BACKUPS_MAX = 4
/**
 * What a server that is heard of no more keeps for itself. Long enough for a restored directory to
 * be started the next morning.
 */
const GRANT_MS = 86_400_000
/** Replacing a hold takes moments. */
const TURN_TIMEOUT_MS = 30_000

/** A hold, and whether it took the place of another recovery's. */
export interface ServerHold {
  readonly lock: HeldLock
  readonly isFirst: boolean
}

/**
 * Marks a backup as being read over a server's key until disposed.
 * @throws {BackstayError} HOST_PRIVILEGE for one too many; REPOSITORY_LOCKED
 */
export async function useForServer(
  cluster: ClusterRepository,
  id: BackupId,
  server: string,
): Promise<HeldLock> {
  const purpose = `restoring backup ${id} on ${nameOf(server)}`
  const wish = { name: backupLockName(id), mode: 'shared', purpose, server } as const
  return await unlessCrowded(cluster, server, await takeLock(cluster, wish))
}

/**
 * As `holdBackup`, for at most a day, which `renewHolds` puts off up to the time asked for. It
 * takes the place of what the server held of that backup before.
 * @throws {BackstayError} USAGE for too long a time, HOST_PRIVILEGE for one backup too many,
 * REPOSITORY_LOCKED while it is being deleted
 */
export async function holdForServer(
  cluster: ClusterRepository,
  id: BackupId,
  { server, forMs }: Omit<HoldWish, 'purpose'> & { readonly server: string },
): Promise<ServerHold> {
  checkHoldTime(id, forMs)
  await using turn = await until(async () => takeTurn(cluster, server), {
    clock: cluster.clock,
    timeoutMs: TURN_TIMEOUT_MS,
  })
  if (turn === undefined) throw busy(server)
  const nowMs = cluster.clock.now()
  const before = (await holdsOn(cluster, backupLockName(id), server)).filter(isHold)
  const longestMs = greatest(before.map(longestOf), nowMs + forMs)
  const lock = await takeLock(cluster, {
    name: backupLockName(id),
    mode: 'shared',
    purpose: `a recovery on ${nameOf(server)}`,
    server,
    until: spell(Math.min(longestMs, nowMs + GRANT_MS)),
    longest: spell(longestMs),
    order: randomUUID(),
  })
  await unlessCrowded(cluster, server, lock)
  for (const { object } of before) await cluster.store.delete(object)
  return { lock, isFirst: before.length === 0 }
}

/** Ends a hold, whatever it was renewed to. */
export async function endHold(cluster: ClusterRepository, { claim }: HeldLock): Promise<void> {
  const held = await holdsOn(cluster, claim.name, claim.server ?? '')
  for (const hold of held.filter(isHold)) {
    if (hold.order === claim.order) await cluster.store.delete(hold.object)
  }
}

/**
 * Puts off the end of the server's holds, once half of a day is over. Nothing while another process
 * of that server does it.
 */
export async function renewHolds(
  cluster: ClusterRepository,
  server: string | undefined,
): Promise<void> {
  const due = (await holdsOf(cluster, server ?? '')).some(isHold)
  await using turn = due ? await takeTurn(cluster, server ?? '') : undefined
  if (turn === undefined) return
  const nowMs = cluster.clock.now()
  for (const hold of (await holdsOf(cluster, server ?? '')).filter(isHold)) {
    const untilMs = Math.min(longestOf(hold), nowMs + GRANT_MS)
    if (Date.parse(hold.until) - nowMs > GRANT_MS / 2 || untilMs <= Date.parse(hold.until)) continue
    const { object, liveness: _a, holder: _b, takenAt: _c, ...wish } = hold
    await takeLock(cluster, { ...wish, until: spell(untilMs) })
    await cluster.store.delete(object)
  }
}

/**
 * Two that renew or replace the same hold at a time would make two of it. Undefined while somebody
 * else has the turn.
 */
async function takeTurn(cluster: ClusterRepository, server: string): Promise<HeldLock | undefined> {
  const purpose = `renewing what is held for ${nameOf(server)}`
  try {
    return await takeLock(cluster, {
      name: `holds-${server === '' ? '_' : server}`,
      mode: 'exclusive',
      purpose,
    })
  } catch (error) {
    if (!isBackstayError(error, 'REPOSITORY_LOCKED')) throw error
    return undefined
  }
}

function busy(server: string): BackstayError {
  return new BackstayError(
    'REPOSITORY_LOCKED',
    `Cannot hold a backup for ${nameOf(server)}: its other connections renew what it holds`,
    { hint: 'Run the command again.' },
  )
}

type Hold = FoundLock & { readonly until: string }

function isHold(lock: FoundLock): lock is Hold {
  return lock.until !== undefined
}

function longestOf({ longest, until }: Hold): number {
  return Date.parse(longest ?? until)
}

/** Looked at once it is there: of several that come at the same time none is overlooked. */
async function unlessCrowded(
  cluster: ClusterRepository,
  server: string,
  lock: HeldLock,
): Promise<HeldLock> {
  const names = new Set((await holdsOf(cluster, server)).map(({ name }) => name))
  if (names.size <= BACKUPS_MAX) return lock
  await lock[Symbol.asyncDispose]()
  throw new BackstayError(
    'HOST_PRIVILEGE',
    `Cannot use another backup on ${nameOf(server)}: it uses ${BACKUPS_MAX} already`,
    {
      hint: `It restores one at a time. A hold ends by itself, at the latest a day after that server has last been heard of.`,
    },
  )
}

async function holdsOf(cluster: ClusterRepository, server: string): Promise<FoundLock[]> {
  const folders = await cluster.store.listFolders(cluster.names.locks)
  const found: FoundLock[] = []
  for (const name of folders.filter((folder) => folder.startsWith('backup-'))) {
    for (const hold of await holdsOn(cluster, name, server)) found.push(hold)
  }
  return found
}

async function holdsOn(
  cluster: ClusterRepository,
  name: string,
  server: string,
): Promise<FoundLock[]> {
  return (await findLocks(cluster, name)).filter(
    (lock) => lock.server === server && lock.liveness !== 'dead',
  )
}

function nameOf(server: string): string {
  return server === '' ? 'a database server' : `server "${server}"`
}

function spell(atMs: number): string {
  return new Date(atMs).toISOString()
}
