/**
 * `backup_manifest` (PostgreSQL 13+): what it holds, and writing it piece by piece.
 * Versions 1 and 2 (17+, with the system identifier). Source: PostgreSQL
 * documentation, "Backup Manifest Format"; src/backend/backup/backup_manifest.c.
 */
import { createHash, type Hash } from 'node:crypto'
import { formatLsn, type Lsn } from './lsn.ts'

/** A file of the backup. */
export interface BackupManifestFile {
  /** Relative to the data directory. */
  readonly path: string
  /** The path is not UTF-8: `path` holds its bytes as latin1. */
  readonly isPathEncoded?: true
  readonly sizeBytes: number
  /** Whole seconds. */
  readonly modifiedAtMs: number
  /** Undefined when the backup was taken without checksums. */
  readonly checksum: ManifestChecksum | undefined
}

/** A file's checksum, by the algorithm that the backup was taken with. */
interface ManifestChecksum {
  /** `CRC32C`, `SHA224`, `SHA256`, `SHA384` or `SHA512`. */
  readonly algorithm: string
  /** Lower-case hex; a CRC-32C with its lowest byte first. */
  readonly hex: string
}

/** WAL that the backup needs. */
export interface ManifestWalRange {
  readonly timeline: number
  readonly startLsn: Lsn
  readonly endLsn: Lsn
}

/** What a manifest says beside its files. */
export interface ManifestSummary {
  readonly version: 1 | 2
  /** Decimal; version 2. */
  readonly systemIdentifier: string | undefined
  readonly walRanges: readonly ManifestWalRange[]
}

/** A CRC-32C as the manifest writes it. */
export function manifestCrc32c(crc: number): ManifestChecksum {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(crc)
  return { algorithm: 'CRC32C', hex: bytes.toString('hex') }
}

/**
 * Writes a manifest byte for byte as PostgreSQL does. Call `begin`, `file` for each file, `end`;
 * send what they return.
 */
export class BackupManifestWriter {
  readonly #hash: Hash = createHash('sha256')
  #isFirst = true

  /** `systemIdentifier` makes it version 2, which PostgreSQL 17+ wants. */
  begin(systemIdentifier: string | undefined): string {
    const version = systemIdentifier === undefined ? 1 : 2
    const identity =
      systemIdentifier === undefined ? '' : `"System-Identifier": ${systemIdentifier},\n`
    return this.#hashed(
      `{ "PostgreSQL-Backup-Manifest-Version": ${version},\n${identity}"Files": [`,
    )
  }

  file(file: BackupManifestFile): string {
    const separator = this.#isFirst ? '\n' : ',\n'
    this.#isFirst = false
    const path =
      file.isPathEncoded === true
        ? `"Encoded-Path": "${Buffer.from(file.path, 'latin1').toString('hex')}"`
        : `"Path": ${JSON.stringify(file.path)}`
    const { checksum } = file
    const sum =
      checksum === undefined
        ? ''
        : `, "Checksum-Algorithm": "${checksum.algorithm}", "Checksum": "${checksum.hex}"`
    return this.#hashed(
      `${separator}{ ${path}, "Size": ${file.sizeBytes}, "Last-Modified": "${formatTime(file.modifiedAtMs)}"${sum} }`,
    )
  }

  end(walRanges: readonly ManifestWalRange[]): string {
    const ranges = walRanges.map(
      (range) =>
        `{ "Timeline": ${range.timeline}, "Start-LSN": "${formatLsn(range.startLsn)}", "End-LSN": "${formatLsn(range.endLsn)}" }`,
    )
    const body = this.#hashed(`\n],\n"WAL-Ranges": [\n${ranges.join(',\n')}\n],\n`)
    return `${body}"Manifest-Checksum": "${this.#hash.digest('hex')}"}\n`
  }

  #hashed(text: string): string {
    this.#hash.update(text)
    return text
  }
}

function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} GMT`
}
