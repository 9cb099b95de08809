/**
 * Whether a page whose LSN lies before a reference backup is byte for byte what the reference has. Pure.
 *
 * PostgreSQL changes hint bits without an LSN of their own. With checksums or wal_log_hints the first such change of a page after
 * a checkpoint is logged, and so is seen, but only by the server that makes it: a standby that was promoted since has pages of
 * the same LSN with other hint bits. Pages are equal in meaning then, but not to a checksum of the file.
 */
import type { BackupInfo } from '../../repository/backup-info.ts'

/** The server that is backed up now. */
export interface BackupPlace {
  readonly host: string
  readonly port: number
  readonly timeline: number
  /** Checksums or wal_log_hints. */
  readonly logsHints: boolean
}

/** Only for backups of one and the same primary, on one timeline: each has just one. */
export function hasSamePages(reference: BackupInfo, now: BackupPlace): boolean {
  const { source, timeline } = reference
  const isSamePlace = source.host === now.host && source.port === now.port
  return now.logsHints && isSamePlace && source.role === 'primary' && timeline === now.timeline
}
