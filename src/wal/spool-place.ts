/**
 * Where the spool of a cluster lies: on local disk, inside the repository's directory.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { spoolError } from './spool-error.ts'
import type { SpoolPlace } from './spool-file.ts'

/** The directory of a cluster's spool, whether or not it is there. */
export function spoolDirectoryOf({
  store,
  names,
}: Pick<ClusterRepository, 'store' | 'names'>): string {
  return join(store.location, names.spool)
}

/** The spool of a cluster in a repository on disk. */
export function spoolOf(repository: ClusterRepository): SpoolPlace {
  const { segmentBytes } = repository.identity
  return { directory: spoolDirectoryOf(repository), segmentBytes }
}

/**
 * Makes the spool's folder in a repository that is there. One that is gone (unmounted) is not made
 * again: WAL written where it was would be acknowledged and never found.
 * @throws {BackstayError} REPOSITORY_MISSING, STORE, DISK_SPACE
 */
export async function makeSpool(repository: ClusterRepository): Promise<SpoolPlace> {
  const { store, names } = repository
  if ((await store.size(names.identity)) === undefined) {
    throw new BackstayError(
      'REPOSITORY_MISSING',
      `Cannot receive WAL: "${names.identity}" in "${store.location}" is gone`,
      { hint: 'Is its disk still mounted? Nothing was made in its place.' },
    )
  }
  const place = spoolOf(repository)
  try {
    await mkdir(place.directory, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw spoolError(`make the spool "${place.directory}"`, error)
    }
  }
  return place
}
