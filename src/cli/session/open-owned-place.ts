/**
 * Opens the repository for commands that write into it: as its owner, when started as root.
 */
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { WalPlaceOptions } from '../commands/wal-options.ts'
import type { CommandContext } from '../context.ts'
import { becomeRepositoryOwner } from './repository-owner.ts'
import { openWalPlace, walPlace } from './wal-place.ts'

/** @throws {BackstayError} USAGE, CONFIG_MISSING, REPOSITORY_MISSING, … */
export async function openOwnedPlace(
  context: Pick<
    CommandContext<WalPlaceOptions>,
    'options' | 'config' | 'workingDirectory' | 'clock'
  >,
): Promise<ClusterRepository> {
  const { repositoryDirectory } = await walPlace(context)
  await becomeRepositoryOwner(repositoryDirectory)
  return await openWalPlace(context)
}
