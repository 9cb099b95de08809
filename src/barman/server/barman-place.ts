/**
 * Where the WAL and the backups of a Barman server are: a cluster in the repository
 * `<barman_home>/backstay`, or in the one its section names with `backstay_repository`.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { BarmanServer } from '../../config/barman/model.ts'
import { isBackstayError } from '../../errors/backstay-error.ts'
import { type ClusterNames, clusterNames } from '../../repository/format.ts'
import { type ClusterRepository, openCluster } from '../../repository/cluster-repository.ts'
import { storeAt } from '../../store/address.ts'
import type { Store } from '../../store/store.ts'
import type { BarmanContext } from '../context.ts'

const REPOSITORY_FOLDER = 'backstay'
const LEGAL = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/
const LONGEST_READABLE = 40

/** Absolute path of the repository. */
export function repositoryDirectory(barmanHome: string): string {
  return join(barmanHome, REPOSITORY_FOLDER)
}

/**
 * The cluster's name for a section of the configuration: itself where a folder may be called so,
 * else what can be kept of it and part of its SHA-256.
 */
export function clusterNameOf(section: string): string {
  if (LEGAL.test(section)) return section
  const readable = section.replace(/[^A-Za-z0-9_.-]+/g, '-').slice(0, LONGEST_READABLE)
  return `s${readable}-${createHash('sha256').update(section).digest('hex').slice(0, 16)}`
}

/** The place of a server's locks and objects, whether or not anything is there. */
export interface ServerPlace {
  readonly store: Store
  readonly name: string
  readonly names: ClusterNames
  readonly clock: BarmanContext['clock']
}

/** Where a server's objects are. */
export function placeOf(
  context: Pick<BarmanContext, 'config' | 'clock'>,
  server: Pick<BarmanServer, 'name' | 'repository'>,
): ServerPlace {
  const directory = server.repository ?? repositoryDirectory(context.config.barmanHome)
  const name = clusterNameOf(server.name)
  return {
    store: storeAt(directory),
    name,
    names: clusterNames(name),
    clock: context.clock,
  }
}

/** The server's part of the repository; undefined while nothing was received or backed up. */
export async function openServer(
  context: Pick<BarmanContext, 'config' | 'clock'>,
  server: Pick<BarmanServer, 'name' | 'repository'>,
): Promise<ClusterRepository | undefined> {
  const { store, name, clock } = placeOf(context, server)
  try {
    return await openCluster(store, name, clock)
  } catch (error) {
    if (isBackstayError(error, 'REPOSITORY_MISSING')) return undefined
    throw error
  }
}
