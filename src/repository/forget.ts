/**
 * Removes a cluster from a repository: its backups, its WAL and everything that is known of it.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { parseBackupId } from './backup-info.ts'
import type { ClusterRepository } from './cluster-repository.ts'
import { findLocks, takeLock } from './lock.ts'
import { backupLockName } from './use-backup.ts'

/** How much went: backups that were listed, all objects, and their stored bytes. */
interface ForgottenCluster {
  readonly backups: number
  readonly objects: number
  readonly bytes: number
}

/**
 * Forgets a cluster. No backup is listed whose data has begun to go, and the identity goes last: if
 * the process dies, what is left is a cluster with fewer backups, which can be forgotten again.
 * @throws {BackstayError} REPOSITORY_LOCKED while WAL is received, a backup is taken or one is
 * read; nothing has gone then.
 */
export async function forgetCluster(cluster: ClusterRepository): Promise<ForgottenCluster> {
  const { store, names, identity } = cluster
  const purpose = `forgetting cluster "${identity.cluster}"`
  await using _catalogue = await takeLock(cluster, {
    name: 'catalogue',
    mode: 'exclusive',
    purpose,
  })
  await using _receiver = await takeLock(cluster, { name: 'receiver', mode: 'exclusive', purpose })
  await checkUnused(cluster)
  const backups = await unlistBackups(cluster, purpose)
  await rm(join(store.location, names.spool), { recursive: true, force: true })
  const root = identity.cluster
  await store.sweep(root, cluster.clock.now())
  const gone = { objects: 0, bytes: 0 }
  for (const name of await allObjects(cluster)) {
    gone.bytes += (await store.size(name)) ?? 0
    if (await store.delete(name)) gone.objects += 1
  }
  await store.delete(names.identity)
  return { backups, ...gone }
}

/** Everything of the cluster but its identity and the locks, which go when they are given back. */
async function allObjects({ store, names, identity }: ClusterRepository): Promise<string[]> {
  const objects: string[] = []
  for await (const name of store.list(identity.cluster)) {
    if (name !== names.identity && !name.startsWith(`${names.locks}/`)) objects.push(name)
  }
  return objects
}

/** Every lock that is there counts but our own two. */
async function checkUnused(cluster: ClusterRepository): Promise<void> {
  const { store, names } = cluster
  for (const name of await store.listFolders(names.locks)) {
    if (name === 'catalogue' || name === 'receiver') continue
    const living = (await findLocks(cluster, name)).find(({ liveness }) => liveness !== 'dead')
    if (living === undefined) continue
    const { pid, host } = living.holder
    throw new BackstayError(
      'REPOSITORY_LOCKED',
      `Cannot forget cluster "${cluster.identity.cluster}": process ${pid} on ${host} uses it for ${living.purpose}`,
    )
  }
}

async function unlistBackups(cluster: ClusterRepository, purpose: string): Promise<number> {
  const { store, names } = cluster
  let backups = 0
  for (const folder of await store.listFolders(names.backups)) {
    const id = parseBackupId(folder)
    if (id === undefined) continue
    const lock = { name: backupLockName(id), mode: 'exclusive', purpose } as const
    await using _lock = await takeLock(cluster, lock)
    if (await store.delete(names.backupInfo(id))) backups += 1
  }
  return backups
}
