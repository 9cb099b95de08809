/**
 * Opens the manifest of a backup as the one that its backup.json means.
 */
import { createHash } from 'node:crypto'
import { BackstayError } from '../errors/backstay-error.ts'
import type { BackupInfo } from './backup-info.ts'
import type { Store } from '../store/store.ts'
import type { ClusterNames } from './format.ts'
import { ManifestReader } from './manifest-reader.ts'

const HASH_BYTES = 1024 * 1024

/**
 * The manifest, after its checksum was found to be the one in backup.json and its backup the one
 * asked for.
 * @throws {BackstayError} REPOSITORY_DAMAGED
 */
export async function openManifest(
  { store, names }: { readonly store: Store; readonly names: Pick<ClusterNames, 'manifest'> },
  info: Pick<BackupInfo, 'id' | 'manifest'>,
): Promise<ManifestReader> {
  const name = names.manifest(info.id)
  const sha256 = await hashObject(store, name)
  if (sha256 !== undefined && sha256 !== info.manifest.sha256) {
    throw new BackstayError(
      'REPOSITORY_DAMAGED',
      `Cannot read "${name}": its SHA-256 is ${sha256}, and backup.json says ${info.manifest.sha256}`,
    )
  }
  const manifest = await ManifestReader.open(store, name)
  try {
    const writtenFor = await manifest.readBackupId()
    if (writtenFor === info.id) return manifest
    throw new BackstayError(
      'REPOSITORY_DAMAGED',
      `Cannot read "${name}": it is the manifest of backup ${writtenFor}`,
    )
  } catch (error) {
    await manifest[Symbol.asyncDispose]()
    throw error
  }
}

/** SHA-256 of an object, hex; undefined when it is missing. */
export async function hashObject(store: Store, name: string): Promise<string | undefined> {
  await using object = await store.open(name)
  if (object === undefined) return undefined
  const hash = createHash('sha256')
  for (let at = 0; at < object.sizeBytes; at += HASH_BYTES) {
    const part = Buffer.allocUnsafe(Math.min(HASH_BYTES, object.sizeBytes - at))
    await object.read(at, part)
    hash.update(part)
  }
  return hash.digest('hex')
}
