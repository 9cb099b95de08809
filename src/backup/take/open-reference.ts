/**
 * Opens the backup whose unchanged pages a new one points at.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { ManifestReader } from '../../repository/manifest-reader.ts'
import { openManifest } from '../../repository/open-manifest.ts'
import { PageCrcReader } from '../../repository/page-crc-object.ts'
import { PackReader } from '../../repository/pack-reader.ts'
import { planEmptying } from './emptied-packs.ts'
import type { OpenReference } from './receive-options.ts'
import { ReferenceFiles } from './reference-files.ts'
import { ReferenceIndex } from './reference-index.ts'

/** An open reference with all that is known of it. */
export interface HeldReference extends OpenReference, AsyncDisposable {
  readonly info: BackupInfo
  readonly manifest: ManifestReader
}

/**
 * @throws {BackstayError} REPOSITORY_DAMAGED when a pack is missing or the manifest cannot be read.
 */
export async function openReference(
  cluster: ClusterRepository,
  info: BackupInfo,
): Promise<HeldReference> {
  const { store, names } = cluster
  await checkPacks(cluster, info)
  const manifest = await openManifest(cluster, info)
  try {
    const packs = new PackReader(store, names)
    const index = await ReferenceIndex.build(manifest, info.files)
    const crcs = await PageCrcReader.open(store, names, info.id)
    return {
      info,
      manifest,
      files: new ReferenceFiles({ index, crcs, packs }),
      startLsn: info.startLsn,
      emptying: planEmptying(info.packs, info.bytes.database),
      packs,
      [Symbol.asyncDispose]: async () => {
        await packs[Symbol.asyncDispose]()
        await crcs?.[Symbol.asyncDispose]()
        await manifest[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await manifest[Symbol.asyncDispose]()
    throw error
  }
}

/** What is pointed at must be there, else the new backup would be as damaged as the old one. */
async function checkPacks({ store, names }: ClusterRepository, info: BackupInfo): Promise<void> {
  for (const { name, storedBytes } of info.packs) {
    const size = await store.size(names.pack(name))
    if (size === storedBytes) continue
    const found = size === undefined ? 'it is missing' : `it has ${size} bytes`
    throw new BackstayError(
      'REPOSITORY_DAMAGED',
      `Cannot use pack "${name}": ${found} instead of ${storedBytes} bytes`,
    )
  }
}
