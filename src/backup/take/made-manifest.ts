/**
 * A backup_manifest for what an incremental backup restores to: the server's own describes the
 * incremental files it sent, which nobody will see. Held compressed, because there may be millions
 * of files.
 */
import {
  BackupManifestWriter,
  manifestCrc32c,
  type ManifestWalRange,
} from '../../postgres/backup-manifest.ts'
import type { ManifestFile } from '../../repository/manifest-entry.ts'
import { compressFrame, decompressFrame } from '../../repository/codec.ts'
import { bytesOfPath } from '../../util/byte-path.ts'

/** Collected before it is compressed. */
const PIECE_BYTES = 256 * 1024

interface ManifestPiece {
  readonly frame: Buffer
  readonly rawBytes: number
}

/** Call `add` for each file, then `end` once. */
export class MadeManifest {
  readonly #writer = new BackupManifestWriter()
  readonly #pieces: ManifestPiece[] = []
  #texts: string[] = []
  #length = 0

  /** `systemIdentifier`: decimal; undefined for a version whose manifests do not name it. */
  constructor(systemIdentifier: string | undefined) {
    this.#collect(this.#writer.begin(systemIdentifier))
  }

  /** `file` as it is restored; it has a CRC. */
  add(file: ManifestFile): void {
    const { path, sizeBytes, modifiedAtMs, crc32c = 0 } = file
    const name = path.isWellFormed()
      ? { path }
      : { path: bytesOfPath(path).toString('latin1'), isPathEncoded: true as const }
    const checksum = manifestCrc32c(crc32c)
    this.#collect(this.#writer.file({ ...name, sizeBytes, modifiedAtMs, checksum }))
  }

  /** Its content in pieces. */
  *end(range: ManifestWalRange): Generator<Buffer> {
    this.#collect(this.#writer.end([range]))
    this.#compress()
    for (const { frame, rawBytes } of this.#pieces) {
      yield decompressFrame(frame, rawBytes, 'a piece of the manifest that is made')
    }
  }

  #collect(text: string): void {
    this.#texts.push(text)
    this.#length += text.length
    if (this.#length >= PIECE_BYTES) this.#compress()
  }

  #compress(): void {
    const content = Buffer.from(this.#texts.join(''))
    this.#texts = []
    this.#length = 0
    this.#pieces.push({ frame: compressFrame(content), rawBytes: content.length })
  }
}
