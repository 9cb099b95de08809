/**
 * A restore as it is ordered from elsewhere, and what is told back while it runs. Plain data that travels as lines of JSON.
 */
import { z } from 'zod'
import type { ClusterWanted } from '../wanted.ts'
import { findBackup } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import {
  type BackupChoice,
  type RestoreWish,
  targetOf,
  timelineChoiceOf,
} from '../../restore/wish.ts'

/** What is wished, in the words of the command line; times with their zone. */
export const WishWords = z.strictObject({
  backup: z.string(),
  targetTime: z.string().optional(),
  targetLsn: z.string().optional(),
  targetXid: z.string().optional(),
  targetName: z.string().optional(),
  targetImmediate: z.boolean(),
  exclusive: z.boolean(),
  targetTli: z.string(),
  targetAction: z.enum(['pause', 'promote', 'shutdown']),
  standbyMode: z.boolean(),
})

/** See the schema. */
export type WishWords = z.output<typeof WishWords>

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

const Absolute = z.string().startsWith('/')

/** The order to the machine the data goes to. */
export const RestoreThereOrder = z.strictObject({
  cluster: z.string(),
  /** Directory of the way into the repository. */
  way: Absolute,
  wish: WishWords,
  directory: Absolute,
  tablespaces: z.record(z.string(), Absolute),
  isDelta: z.boolean(),
  allowDataLoss: z.boolean(),
  keepArchiving: z.boolean(),
  /** Plan, look, and stop. */
  isPlanOnly: z.boolean(),
  /** Port to open it on. */
  start: z.int().optional(),
  startTimeoutMs: z.int(),
  jobs: z.int().optional(),
  /** Backstay there, for restore_command: it outlives the order. */
  program: z.array(z.string()),
  /** The clone of a standby: what it is made of follows the cluster file instead of the restore's own settings. */
  standby: z
    .strictObject({
      wanted: z.custom<ClusterWanted>(isObject),
      server: z.string(),
      primary: z.string(),
    })
    .optional(),
  /** Directory of PostgreSQL's programs, when the cluster file names one. */
  binaries: z.string().optional(),
})

/** See the schema. */
export type RestoreThereOrder = z.output<typeof RestoreThereOrder>

/** What is told back, a line each. */
export type RestoreTold =
  | {
      readonly told: 'plan'
      /** For people, and for --json. */
      readonly text: string
      readonly json: Readonly<Record<string, unknown>>
      readonly bytesToWrite: number
      readonly backup: string
      readonly warnings: readonly string[]
      /** Where something will be written: the data directory first. */
      readonly directories: readonly string[]
    }
  | { readonly told: 'progress'; readonly bytes: number }
  | { readonly told: 'phase'; readonly text: string }
  | {
      readonly told: 'done'
      readonly restored: {
        readonly files: number
        readonly bytes: number
        readonly writtenBytes: number
        readonly elapsedMs: number
      }
      readonly opened: 'promoted' | 'paused' | 'standby' | 'shut-down' | null
    }

/** The wish that the words are. @throws {BackstayError} USAGE, BACKUP_MISSING */
export async function wishFrom(
  words: WishWords,
  repository: ClusterRepository,
): Promise<RestoreWish> {
  return {
    target: targetOf(words),
    timeline: timelineChoiceOf(words.targetTli),
    action: words.targetAction,
    standbyMode: words.standbyMode,
    backup: await backupOf(repository, words.backup),
  }
}

async function backupOf(repository: ClusterRepository, word: string): Promise<BackupChoice> {
  if (word === 'auto' || word === 'latest') return word
  return (await findBackup(repository, word)).info.id
}
