/**
 * Compares what was received with PostgreSQL's own backup_manifest (13+): same files, same sizes,
 * same checksums. Holds sums only, so that the number of files does not matter; it can say that
 * something differs, not where. Source: PostgreSQL documentation, "Backup Manifest Format".
 */
import { crc32c } from '@node-rs/crc32'
import { BackstayError } from '../../errors/backstay-error.ts'
import { bytesOfPath, pathOfBytes } from '../../util/byte-path.ts'

/** A manifest's file line is shorter than this unless something is wrong. */
const LINE_BYTES_MAX = 64 * 1024

/** Order does not matter to a sum, and of two different sets it is the same once in 2^32. */
interface Sum {
  files: number
  value: number
}

/** Feed it every file received and every byte of backup_manifest. */
export class ManifestCheck {
  readonly #received: Sum = { files: 0, value: 0 }
  readonly #announced: Sum = { files: 0, value: 0 }
  #rest = Buffer.alloc(0)

  /** A file as it came from the server. `crc32c` of all its bytes. */
  file(path: string, sizeBytes: number, crc: number): void {
    add(this.#received, { path, sizeBytes, crc })
  }

  /** The next piece of backup_manifest. @throws {BackstayError} POSTGRES_PROTOCOL */
  manifest(chunk: Uint8Array): void {
    let text = Buffer.concat([this.#rest, chunk])
    for (let end = text.indexOf(0x0a); end >= 0; end = text.indexOf(0x0a)) {
      this.#line(text.subarray(0, end).toString('utf8'))
      text = text.subarray(end + 1)
    }
    if (text.length > LINE_BYTES_MAX) throw invalid('one of its lines is too long')
    this.#rest = Buffer.from(text)
  }

  /** Compares. @throws {BackstayError} POSTGRES_PROTOCOL when something differs. */
  finish(): void {
    const { files, value } = this.#received
    if (files === this.#announced.files && value === this.#announced.value) return
    throw new BackstayError(
      'POSTGRES_PROTOCOL',
      `The files received differ from the server's backup_manifest: ${files} files received, ${this.#announced.files} announced`,
      { hint: 'Take the backup again. If it happens again, report it.' },
    )
  }

  #line(line: string): void {
    if (!line.startsWith('{ "Path"') && !line.startsWith('{ "Encoded-Path"')) return
    const entry = parseLine(line)
    const encoded = entry['Encoded-Path']
    const path =
      typeof encoded === 'string' ? pathOfBytes(Buffer.from(encoded, 'hex')) : String(entry['Path'])
    const checksum = Buffer.from(String(entry['Checksum']), 'hex')
    if (entry['Checksum-Algorithm'] !== 'CRC32C' || checksum.length !== 4) {
      throw invalid(`it has no CRC-32C of "${path}"`)
    }
    const [sizeBytes, crc] = [Number(entry['Size']), checksum.readUInt32LE(0)]
    add(this.#announced, { path, sizeBytes, crc })
  }
}

function parseLine(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line.replace(/,\s*$/, '')) as Record<string, unknown>
  } catch (error) {
    throw invalid('a line is not JSON', error)
  }
}

function add(sum: Sum, file: { path: string; sizeBytes: number; crc: number }): void {
  const { path, sizeBytes, crc } = file
  sum.files += 1
  sum.value = (sum.value + crc32c(bytesOfPath(`${crc} ${sizeBytes} ${path}`))) % 2 ** 52
}

function invalid(why: string, cause?: unknown): BackstayError {
  return new BackstayError('POSTGRES_PROTOCOL', `Cannot read backup_manifest: ${why}`, { cause })
}
