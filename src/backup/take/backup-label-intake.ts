/**
 * The backup_label of an incremental base backup: without the lines that keep a server from
 * starting with it, because what is restored is whole. Source: PostgreSQL
 * src/bin/pg_combinebackup/backup_label.c.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { FileIntake } from './file-intake.ts'

const LABEL_BYTES_MAX = 1024 * 1024
const INCREMENTAL_LINES = /^INCREMENTAL FROM (?:LSN|TLI): .*\n/gm

/** Collects the file and passes it on changed. */
export class BackupLabelIntake implements FileIntake {
  readonly #store: (content: Buffer) => Promise<void>
  #content = Buffer.alloc(0)

  /** `store` is called once, with the content to store. */
  constructor(store: (content: Buffer) => Promise<void>) {
    this.#store = store
  }

  data(chunk: Uint8Array): void {
    this.#content = Buffer.concat([this.#content, chunk])
    if (this.#content.length > LABEL_BYTES_MAX) {
      throw new BackstayError('POSTGRES_PROTOCOL', 'Cannot read backup_label: it is too long')
    }
  }

  end(): Promise<void> {
    return this.#store(Buffer.from(fullBackupLabel(this.#content.toString('latin1')), 'latin1'))
  }
}

/** backup_label as it would be if the backup were not incremental. */
export function fullBackupLabel(label: string): string {
  return label.replace(INCREMENTAL_LINES, '')
}
