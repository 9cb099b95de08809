/**
 * Where a clone goes, and whether it fits there.
 */
import type { Host } from '../../host/host.ts'
import type { ServerWanted } from '../wanted.ts'

/** Where a tablespace of the primary goes on a standby. */
export function tablespaceTarget(server: ServerWanted, location: string): string {
  return server.tablespaceMapping[location] ?? location
}

/** A place that cannot hold what it would get. */
export interface Shortage {
  readonly path: string
  readonly neededBytes: number
  readonly freeBytes: number
}

/** Compares needs with free space. Places with the same free space are taken for one file system: needs add up there. */
export async function findShortages(
  host: Host,
  needs: readonly { readonly path: string; readonly bytes: number }[],
): Promise<readonly Shortage[]> {
  const byFree = new Map<number, Shortage>()
  for (const { path, bytes } of needs) {
    const freeBytes = await host.freeBytes(path)
    const known = byFree.get(freeBytes) ?? { path, neededBytes: 0, freeBytes }
    byFree.set(freeBytes, { ...known, neededBytes: known.neededBytes + bytes })
  }
  return [...byFree.values()].filter(({ neededBytes, freeBytes }) => neededBytes > freeBytes)
}
