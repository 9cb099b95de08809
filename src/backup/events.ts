/**
 * What a running backup tells whoever watches it. Plain data; `text` is for people.
 */
import type { BackupId, BackupType } from '../repository/backup-info.ts'
import type { CollectedGarbage } from '../repository/garbage.ts'
import type { ReceivedSoFar } from './take/receive-options.ts'

/**
 * The steps of a backup in their order. After each of them its promise holds even if the process
 * dies.
 */
export const BACKUP_STEPS = [
  'locked',
  'cleaned',
  'planned',
  'receiving',
  'stored',
  'wal-held',
  'published',
] as const

/** A step that was completed, by its word in `BACKUP_STEPS`. */
export type BackupStep = (typeof BACKUP_STEPS)[number]

/** One event. Receivers must return at once and not throw. */
export type BackupEvent =
  | { readonly kind: 'step'; readonly step: BackupStep; readonly text: string }
  | { readonly kind: 'cleaned'; readonly garbage: CollectedGarbage }
  | {
      readonly kind: 'planned'
      readonly id: BackupId
      readonly type: BackupType
      /** Why a full although a backup is there, or null. */
      readonly fullBecause: string | null
      readonly reference: BackupId | null
    }
  | ({ readonly kind: 'progress' } & ReceivedSoFar)
  | { readonly kind: 'warning'; readonly text: string }
