/**
 * A repository and the clusters in it: made, opened and checked (docs/repository-format.md §4).
 */
import { randomUUID } from 'node:crypto'
import { quotedNames } from '../util/quoted-names.ts'
import { BackstayError } from '../errors/backstay-error.ts'
import { isSegmentBytes } from '../postgres/segment-name.ts'
import type { Store } from '../store/store.ts'
import type { Clock } from '../util/clock.ts'
import { requireDisk } from './absent-disk.ts'
import { type ClusterNames, clusterNames, REPOSITORY_OBJECT } from './format.ts'
import { putSealed, readSealed } from './sealed-object.ts'
import { WalObjects } from './wal-objects.ts'

/** Which PostgreSQL cluster a folder of the repository belongs to, for ever. */
export interface ClusterIdentity {
  readonly cluster: string
  /** Decimal. */
  readonly systemIdentifier: string
  readonly major: number
  readonly segmentBytes: number
  /** ISO 8601 UTC. */
  readonly createdAt: string
}

/** What a server says of itself when it is to be backed up. */
export type ServerIdentity = Pick<ClusterIdentity, 'systemIdentifier' | 'major' | 'segmentBytes'>

/** One cluster's part of a repository: what everything that reads or writes it is given. */
export interface ClusterRepository {
  readonly store: Store
  readonly names: ClusterNames
  readonly identity: ClusterIdentity
  readonly wal: WalObjects
  readonly clock: Clock
}

/**
 * Checks that there is a repository of a known format.
 * @throws {BackstayError} REPOSITORY_MISSING, REPOSITORY_FORMAT, REPOSITORY_DAMAGED
 */
async function checkRepository(store: Store): Promise<void> {
  if ((await readSealed(store, REPOSITORY_OBJECT)) !== undefined) return
  throw new BackstayError('REPOSITORY_MISSING', `Cannot find a repository in "${store.location}"`)
}

/**
 * Makes a repository, unless there is one; two at once are fine.
 * @throws {BackstayError} REPOSITORY_MISSING when the disk it belongs on is not mounted.
 */
export async function createRepository(store: Store, clock: Clock): Promise<void> {
  const createdAt = new Date(clock.now()).toISOString()
  if ((await readSealed(store, REPOSITORY_OBJECT)) !== undefined) return
  await requireDisk(store.location)
  await putSealed(store, REPOSITORY_OBJECT, { id: randomUUID(), createdAt })
  await checkRepository(store)
}

/** Names of the clusters in a repository, sorted. */
export async function listClusters(store: Store): Promise<string[]> {
  const clusters: string[] = []
  for (const folder of await store.listFolders('')) {
    if ((await store.size(clusterNames(folder).identity)) !== undefined) clusters.push(folder)
  }
  return clusters
}

/**
 * Opens a cluster that is in the repository.
 * @throws {BackstayError} REPOSITORY_MISSING when the repository or the cluster in it is not there.
 */
export async function openCluster(
  store: Store,
  name: string,
  clock: Clock,
): Promise<ClusterRepository> {
  await checkRepository(store)
  const identity = await readIdentity(store, name)
  if (identity === undefined) {
    const known = await listClusters(store)
    throw new BackstayError(
      'REPOSITORY_MISSING',
      `Cannot find cluster "${name}" in repository "${store.location}": it holds ${known.length === 0 ? 'none' : quotedNames(known)}`,
      { details: { clusters: known } },
    )
  }
  return assemble(store, identity, clock)
}

/** Where and for which server a cluster is claimed. */
export interface ClusterClaim {
  readonly store: Store
  readonly name: string
  readonly server: ServerIdentity
  readonly clock: Clock
}

/**
 * Opens a cluster for writing on behalf of a server; makes repository and cluster when they are not
 * there.
 * @throws {BackstayError} POSTGRES_IDENTITY when the cluster belongs to another system identifier,
 *   POSTGRES_VERSION when it is of another major version, POSTGRES_PROTOCOL when no server is what it says of itself.
 */
export async function claimCluster(claim: ClusterClaim): Promise<ClusterRepository> {
  const { store, name, server, clock } = claim
  await createRepository(store, clock)
  const names = clusterNames(name)
  const wanted: ClusterIdentity = {
    cluster: name,
    systemIdentifier: server.systemIdentifier,
    major: server.major,
    segmentBytes: server.segmentBytes,
    createdAt: new Date(clock.now()).toISOString(),
  }
  if (!isIdentity(wanted, name)) {
    throw new BackstayError(
      'POSTGRES_PROTOCOL',
      `Cannot use a server as cluster "${name}": it says that it is PostgreSQL ${server.major} with ${server.segmentBytes} bytes a segment`,
    )
  }
  const known = await readIdentity(store, name)
  if (known === undefined) {
    await putSealed(store, names.identity, { ...wanted })
    await putSealed(store, names.examined, { at: wanted.createdAt })
  }
  const identity = known ?? (await readIdentity(store, name)) ?? wanted
  checkIdentity(identity, server)
  return assemble(store, identity, clock)
}

/** @throws {BackstayError} POSTGRES_IDENTITY, POSTGRES_VERSION */
export function checkIdentity(identity: ClusterIdentity, server: ServerIdentity): void {
  const { cluster } = identity
  if (identity.systemIdentifier !== server.systemIdentifier) {
    throw new BackstayError(
      'POSTGRES_IDENTITY',
      `Cannot use cluster "${cluster}" of the repository: it holds system identifier ${identity.systemIdentifier}, the server has ${server.systemIdentifier}`,
      { hint: 'Is this the right server? A new cluster (initdb, pg_upgrade) needs a new name.' },
    )
  }
  if (identity.major !== server.major || identity.segmentBytes !== server.segmentBytes) {
    throw new BackstayError(
      'POSTGRES_VERSION',
      `Cannot use cluster "${cluster}" of the repository: it holds PostgreSQL ${identity.major} with ${identity.segmentBytes} bytes a segment, the server is ${server.major} with ${server.segmentBytes}`,
    )
  }
}

async function readIdentity(store: Store, name: string): Promise<ClusterIdentity | undefined> {
  const object = clusterNames(name).identity
  const value = (await readSealed(store, object)) as ClusterIdentity | undefined
  if (value === undefined || isIdentity(value, name)) return value
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot use "${object}" in "${store.location}": it is not that of a cluster "${name}"`,
  )
}

/** Names and lengths of all that is read follow from it; its checksum anybody can make. */
function isIdentity(identity: ClusterIdentity, name: string): boolean {
  const { cluster, systemIdentifier, major, segmentBytes } = identity
  return (
    cluster === name &&
    typeof systemIdentifier === 'string' &&
    Number.isSafeInteger(major) &&
    typeof segmentBytes === 'number' &&
    isSegmentBytes(segmentBytes)
  )
}

function assemble(store: Store, identity: ClusterIdentity, clock: Clock): ClusterRepository {
  const names = clusterNames(identity.cluster)
  return { store, names, identity, clock, wal: new WalObjects(store, names, identity.segmentBytes) }
}
