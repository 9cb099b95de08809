/**
 * Where a clone goes, and whether it fits there.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { Host } from '../host/host.ts'
import { placeTablespace, type TablespacePlace } from '../postgres/tablespace-place.ts'
import type { ClusterWanted, ServerWanted } from './wanted.ts'

/** Who is cloned from whom, by the cluster file. */
export interface ClonePair {
  readonly wanted: ClusterWanted
  readonly server: ServerWanted
  readonly primary: ServerWanted
}

/**
 * Where a tablespace of the primary goes on a standby. What the primary's own part of the file
 * names is allowed on both.
 */
export function tablespacePlaceOf(
  { wanted, server, primary }: ClonePair,
  tablespace: { readonly oid: number; readonly location: string },
): TablespacePlace {
  const roots = [
    ...(wanted.postgres.tablespaceRoots ?? []),
    ...Object.values(primary.tablespaceMapping),
  ]
  return placeTablespace(tablespace, { mapping: server.tablespaceMapping, roots })
}

/** The absolute directory of a place that is not refused. */
export function directoryOfPlace(server: ServerWanted, place: TablespacePlace): string | undefined {
  if (place.kind === 'refused') return undefined
  return place.kind === 'inside' ? posix.join(server.directory, place.path) : place.directory
}

/** The refusal of a tablespace that the cluster file does not speak of. */
export function tablespaceRefusal(
  { server, primary }: Pick<ClonePair, 'server' | 'primary'>,
  location: string,
  why: string,
): BackstayError {
  return new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot clone to server "${server.name}": "${primary.name}" has a tablespace in "${location}", which ${why}`,
    {
      hint: `If that tablespace is yours, say where it may lie here: a directory above it in postgres.tablespaceRoots, or servers.${server.name}.tablespaces: { ${location}: <directory> }.`,
      details: { server: server.name, location },
    },
  )
}

/** A place that cannot hold what it would get. */
export interface Shortage {
  readonly path: string
  readonly neededBytes: number
  readonly freeBytes: number
}

/**
 * Compares needs with free space. Places with the same free space are taken for one file system:
 * needs add up there.
 */
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
