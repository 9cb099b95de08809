/**
 * Where the spool of a cluster lies: on local disk, inside the repository's directory.
 */
import { join } from 'node:path'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import type { SpoolPlace } from './spool-file.ts'

/** The spool of a cluster in a repository on disk. */
export function spoolOf(repository: ClusterRepository): SpoolPlace {
  const { store, names, identity } = repository
  return { directory: join(store.location, names.spool), segmentBytes: identity.segmentBytes }
}
