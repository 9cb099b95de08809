/**
 * How much room a cluster takes in the repository.
 */
import type { ClusterRepository } from './cluster-repository.ts'

/** Bytes of stored objects. */
export interface RepositoryUsage {
  readonly packBytes: number
  readonly packs: number
  /** Manifests and what describes backups. */
  readonly backupBytes: number
  readonly walBytes: number
  readonly walObjects: number
}

/** Asks the store for the size of every object: seconds for some 100,000 WAL segments. */
export async function measureUsage(cluster: ClusterRepository): Promise<RepositoryUsage> {
  const { names } = cluster
  const packs = await sizeOf(cluster, names.packs)
  const backups = await sizeOf(cluster, names.backups)
  const wal = await sizeOf(cluster, names.wal)
  return {
    packBytes: packs.bytes,
    packs: packs.objects,
    backupBytes: backups.bytes,
    walBytes: wal.bytes,
    walObjects: wal.objects,
  }
}

async function sizeOf(
  { store }: ClusterRepository,
  folder: string,
): Promise<{ bytes: number; objects: number }> {
  let bytes = 0
  let objects = 0
  for await (const name of store.list(folder)) {
    bytes += (await store.size(name)) ?? 0
    objects += 1
  }
  return { bytes, objects }
}
