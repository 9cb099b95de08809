/**
 * Which repository and cluster the `wal` commands work on: what --repository and --cluster say,
 * else the cluster file.
 */
import { isAbsolute, join } from 'node:path'
import { repositoryPassfileOf } from '../../cluster/names.ts'
import { protectionOf } from '../../cluster/protection.ts'
import type { BackupWanted, ClusterWanted } from '../../cluster/wanted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import type { CommandContext } from '../context.ts'
import type { WalPlaceOptions } from '../commands/wal-options.ts'

/** A cluster's place in a repository. */
export interface WalPlace {
  readonly repositoryDirectory: string
  readonly cluster: string
}

type PlaceContext = Pick<
  CommandContext<WalPlaceOptions>,
  'options' | 'config' | 'workingDirectory' | 'clock'
>

/**
 * @throws {BackstayError} USAGE when only one of the two options is given, CONFIG_MISSING,
 * CONFIG_INVALID
 */
export async function walPlace(context: PlaceContext): Promise<WalPlace> {
  const { repository, cluster } = context.options
  if (repository !== undefined && cluster !== undefined) {
    return { repositoryDirectory: absolute(context, repository), cluster }
  }
  if (repository !== undefined || cluster !== undefined) {
    throw new BackstayError('USAGE', 'Cannot use --repository or --cluster alone: give both')
  }
  const { wanted } = await context.config()
  return { repositoryDirectory: backupOf(wanted).repository, cluster: wanted.name }
}

/** Opens the cluster's part of the repository. @throws {BackstayError} REPOSITORY_MISSING, … */
export async function openWalPlace(context: PlaceContext): Promise<ClusterRepository> {
  const { repositoryDirectory, cluster } = await walPlace(context)
  const [{ storeAt }, { openCluster }] = await Promise.all([
    import('../../store/address.ts'),
    import('../../repository/cluster-repository.ts'),
  ])
  const store = storeAt(repositoryDirectory)
  return await openCluster(store, cluster, context.clock)
}

/** The backup part of the cluster file. @throws {BackstayError} CONFIG_INVALID when it has none */
export function backupOf(wanted: ClusterWanted): BackupWanted {
  if (wanted.backup !== undefined) return wanted.backup
  throw new BackstayError(
    'CONFIG_INVALID',
    'Cannot find the repository: the cluster file has no backup part',
    {
      hint: 'Add `backup: { repository: DIR }`, or give --repository and --cluster.',
    },
  )
}

/**
 * The ways to the cluster's servers for a role of the backup server, in the order of the cluster
 * file. The password is the one that `up` gave to the owner of the repository.
 */
export function roleConnections(wanted: ClusterWanted, role: string): ConnectionOptions[] {
  const passfile = repositoryPassfileOf(backupOf(wanted).repository)
  return wanted.servers.map((server) => ({
    host: server.address,
    port: server.port,
    user: role,
    passfile,
    applicationName: backupOf(wanted).name,
    ...protectionOf(wanted, server.address),
  }))
}

/** A path as the operator wrote it. */
export function absolute(context: { readonly workingDirectory: string }, path: string): string {
  return isAbsolute(path) ? path : join(context.workingDirectory, path)
}
