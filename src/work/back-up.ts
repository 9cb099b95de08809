/**
 * Takes a backup of a cluster into its repository, from the server that leads it.
 */
import { availableParallelism } from 'node:os'
import type { BackupEvent } from '../backup/events.ts'
import { receivedOrFetched } from '../backup/received-or-fetched.ts'
import { takeBackup } from '../backup/take/take-backup.ts'
import type { FilesWanted, TakeBackupOptions } from '../backup/take/take-options.ts'
import type { BackupInfo } from '../repository/backup-info.ts'
import { clearFailedJob } from '../repository/failed-jobs.ts'
import { clusterNames } from '../repository/format.ts'
import { readLines } from '../repository/line-records.ts'
import type { Store } from '../store/store.ts'
import type { Clock } from '../util/clock.ts'
import { chooseServer, type ChosenServer } from '../wal/choose-server.ts'
import type { ConnectionOptions } from '../wire/connection-options.ts'
import type { Ear } from './ear.ts'

/** More threads compress no faster than one server sends. */
const MOST_JOBS = 8

/** Where backups of a cluster go. */
export interface BackupPlace {
  readonly store: Store
  /** The cluster's name in the repository. */
  readonly cluster: string
  readonly clock: Clock
}

/** The backup that is wanted: what is left out is `takeBackup`'s default. */
export interface BackupWish extends Pick<
  TakeBackupOptions,
  'label' | 'full' | 'checkpoint' | 'maxRateBytes' | 'level' | 'walTimeoutMs' | 'createdBy'
> {
  /** Of several the primary is backed up, a single one as it is. */
  readonly servers: readonly ConnectionOptions[]
  /** The name that the backup records of the server it is taken from. */
  readonly nameOf: (server: ConnectionOptions) => string | null
  /** The files of a server, where they can be read here; undefined when it is to be streamed. */
  readonly filesOf?: (server: ConnectionOptions) => FilesWanted | undefined
  /** Compression threads. Default: as many as there are processors, 8 at most. */
  readonly jobs: number | undefined
}

/** What happens meanwhile. `split-brain`: others answer as primaries of the cluster, too. */
export type BackUpEvent =
  | BackupEvent
  | {
      readonly kind: 'split-brain'
      readonly chosen: ConnectionOptions
      readonly rivals: readonly string[]
    }

/**
 * @throws {BackstayError} what `takeBackup` and the choice of a server throw; the signal's reason.
 */
export async function backUp(
  place: BackupPlace,
  wish: BackupWish,
  { signal, on }: Ear<BackUpEvent>,
): Promise<BackupInfo> {
  const { servers, nameOf, filesOf, jobs, ...options } = wish
  const { options: connection, rivals } = await chosenOf(place, servers, signal)
  if (rivals.length > 0) on({ kind: 'split-brain', chosen: connection, rivals })
  const files = filesOf?.(connection)
  const info = await takeBackup({
    ...place,
    ...options,
    connection,
    server: nameOf(connection),
    wal: receivedOrFetched(connection),
    ...(files === undefined ? {} : { files }),
    workers: jobs ?? Math.min(MOST_JOBS, availableParallelism()),
    signal,
    onEvent: on,
  })
  await clearFailedJob({ store: place.store, names: clusterNames(place.cluster) }, 'backup')
  return info
}

async function chosenOf(
  { store, cluster, clock }: BackupPlace,
  servers: readonly ConnectionOptions[],
  signal: AbortSignal,
): Promise<Pick<ChosenServer, 'options' | 'rivals'>> {
  const [only, ...others] = servers
  if (only !== undefined && others.length === 0) return { options: only, rivals: [] }
  const lines = await readLines({ store, names: clusterNames(cluster), clock })
  await using chosen = await chooseServer(servers, signal, lines)
  const { options, rivals } = chosen
  return { options, rivals }
}
