/**
 * A restore as it is ordered from elsewhere, and what is told back while it runs. Plain data that
 * travels as lines of JSON.
 */
import { z } from 'zod'
import { BackstayError } from '../errors/backstay-error.ts'
import { readJson } from '../util/read-json.ts'
import type { ClusterWanted } from '../cluster/wanted.ts'
import { findBackup } from '../repository/catalogue.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { type BackupChoice, type RestoreWish, targetOf, timelineChoiceOf } from '../restore/wish.ts'

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

/** The words of a wish once they were read and checked. */
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
  tablespaceRoots: z.array(Absolute),
  /** Where pg_wal is to be. */
  walDirectory: Absolute.optional(),
  isDelta: z.boolean(),
  allowDataLoss: z.boolean(),
  keepArchiving: z.boolean(),
  /** Plan, look, and stop. */
  isPlanOnly: z.boolean(),
  /** Port to open it on. */
  start: z.int().optional(),
  startTimeoutMs: z.int(),
  /** How long nothing of the backup and its WAL expires under the recovery. */
  holdForMs: z.int(),
  jobs: z.int().optional(),
  /** Backstay there, for restore_command: it outlives the order. */
  program: z.array(z.string()),
  /**
   * The clone of a standby: what it is made of follows the cluster file instead of the restore's
   * own settings.
   */
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

/** An order once its line was read and checked (`parseRestoreOrder`). */
export type RestoreThereOrder = z.output<typeof RestoreThereOrder>

const Count = z.number().nonnegative()

/** What is told back, a line each. */
const RestoreToldLine = z.discriminatedUnion('told', [
  z.object({
    told: z.literal('plan'),
    /** As text (`encodePlan`). */
    plan: z.string(),
    /** Whose the copy becomes. */
    osUser: z.string(),
    bytesToWrite: Count,
    /** Besides those of the plan. */
    warnings: z.array(z.string()),
  }),
  z.object({ told: z.literal('progress'), bytes: Count }),
  z.object({ told: z.literal('phase'), text: z.string() }),
  z.object({
    told: z.literal('done'),
    restored: z.object({ files: Count, bytes: Count, writtenBytes: Count, elapsedMs: Count }),
    opened: z.enum(['promoted', 'paused', 'standby', 'shut-down']).nullable(),
  }),
])

/** A line that was told, once it was read and checked. */
export type RestoreTold = z.output<typeof RestoreToldLine>

/** Reads a line that was told; undefined for every other line, whoever wrote it. */
export function parseRestoreTold(line: string): RestoreTold | undefined {
  return RestoreToldLine.safeParse(readJson(line)).data
}

/** Reads an order. @throws USAGE when the line is none */
export function parseRestoreOrder(line: string): RestoreThereOrder {
  const order = RestoreThereOrder.safeParse(readJson(line))
  if (order.success) return order.data
  throw new BackstayError('USAGE', `Cannot restore: the order is none: ${order.error.message}`)
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
