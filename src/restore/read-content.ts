/**
 * Reads a small file of a backup whole.
 */
import { crc32c } from '@node-rs/crc32'
import { BackstayError } from '../errors/backstay-error.ts'
import type { ManifestFile } from '../repository/manifest-entry.ts'
import type { PackReader } from '../repository/pack-reader.ts'

/** Files read whole are configuration and state files; anything larger is a mistake. */
const LARGEST_BYTES = 16 * 1024 * 1024

/** The content, checked by its CRC. @throws {BackstayError} REPOSITORY_DAMAGED */
export async function readContent(packs: PackReader, file: ManifestFile): Promise<Buffer> {
  if (file.sizeBytes > LARGEST_BYTES) {
    throw new BackstayError(
      'REPOSITORY_DAMAGED',
      `Cannot read "${file.path}" of the backup: it has ${file.sizeBytes} bytes`,
    )
  }
  const pieces: Buffer[] = []
  for (const extent of file.extents) pieces.push(await packs.extent(extent))
  const content = Buffer.concat(pieces)
  if (file.crc32c === undefined || file.crc32c === crc32c(content)) return content
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read "${file.path}" of the backup: its checksum is wrong`,
  )
}
