/**
 * Stands before the receiver of a base backup and remembers the small files that say what the data
 * is.
 */
import { CONTROL_FILE_PATH } from '../../postgres/control-file.ts'
import type {
  BaseBackupEnd,
  BaseBackupEntry,
  BaseBackupSink,
  BaseBackupStart,
} from '../../wire/base-backup-sink.ts'

/** Files whose content is kept. */
const KEPT = [CONTROL_FILE_PATH, 'backup_label', 'tablespace_map', 'PG_VERSION'] as const

/** Longer ones are no such files. */
const MOST_BYTES = 1024 * 1024

/** Passes everything on to another sink, unchanged; keeps a copy of the small files of `KEPT`. */
export class ObservedSink implements BaseBackupSink {
  readonly #sink: BaseBackupSink
  readonly #kept = new Map<string, Buffer[]>()
  readonly #links = new Set<string>()
  #current: Buffer[] | undefined

  constructor(sink: BaseBackupSink) {
    this.#sink = sink
  }

  /** The content of one of the kept files; undefined when it did not come. */
  content(path: (typeof KEPT)[number]): Buffer | undefined {
    const parts = this.#kept.get(path)
    return parts === undefined ? undefined : Buffer.concat(parts)
  }

  /** Whether a link at `path` came. */
  hasLink(path: string): boolean {
    return this.#links.has(path)
  }

  begin(start: BaseBackupStart): void | Promise<void> {
    return this.#sink.begin(start)
  }

  entry(entry: BaseBackupEntry): void | Promise<void> {
    const { path, tablespaceOid, kind, sizeBytes } = entry
    if (kind === 'link') this.#links.add(path)
    const isKept = tablespaceOid === undefined && (KEPT as readonly string[]).includes(path)
    this.#current = isKept && kind === 'file' && sizeBytes <= MOST_BYTES ? [] : undefined
    if (this.#current !== undefined) this.#kept.set(path, this.#current)
    return this.#sink.entry(entry)
  }

  data(chunk: Uint8Array): void | Promise<void> {
    this.#current?.push(Buffer.from(chunk))
    return this.#sink.data(chunk)
  }

  endFile(): void | Promise<void> {
    this.#current = undefined
    return this.#sink.endFile()
  }

  manifest(chunk: Uint8Array): void | Promise<void> {
    return this.#sink.manifest(chunk)
  }

  end(end: BaseBackupEnd): void | Promise<void> {
    return this.#sink.end(end)
  }
}
