/**
 * The backup server's part of `status` and `check`: read here, or the Backstay on the machine of
 * the repository is asked.
 */
import { z } from 'zod'
import { BackstayError } from '../errors/backstay-error.ts'
import { lastLines } from '../host/run-checked.ts'
import { type ClusterContext, factOf } from '../cluster/context.ts'
import { lookOwnUnit } from '../cluster/look/own-unit.ts'
import { SERVICE_COMMAND, serviceConfigOf } from '../cluster/machine/service-source.ts'
import type { BackupSideStatus } from './status.ts'
import type { BackupWanted } from '../cluster/wanted.ts'
import { readJson } from '../util/read-json.ts'
import { readBackupStatus } from './read-backup-status.ts'
import { judgeService } from './local-service.ts'

const TIMEOUT_MS = 30_000

/**
 * Asks here or there; undefined when the cluster file has no backup part. A failure is one of the
 * problems told.
 */
export async function askBackupStatus(
  cluster: ClusterContext,
): Promise<BackupSideStatus | undefined> {
  const { backup } = cluster.wanted
  if (backup === undefined) return undefined
  if (backup.host.local) return await readHere(cluster, backup)
  try {
    return await ask(cluster, backup)
  } catch (error) {
    const { message } = factOf(error)
    return { ...NOTHING, server: backup.name, problems: [message] }
  }
}

async function readHere(cluster: ClusterContext, backup: BackupWanted): Promise<BackupSideStatus> {
  const { wanted, clock } = cluster
  const status = await readBackupStatus(wanted, backup, clock)
  const { receiver, problems } = status
  const isReceiving = receiver !== undefined && receiver.state !== 'stopped'
  const service = judgeService(wanted.name, await lookOwnUnit(cluster), isReceiving)
  if (service === undefined) return status
  const { problem } = service
  return { ...status, service, problems: problem === undefined ? problems : [problem, ...problems] }
}

/** What is read of it; the rest, which other versions may tell, is left out. */
const BackupStatusTold = z.object({
  server: z.string(),
  lastBackup: z.object({ id: z.string(), endedAt: z.string(), status: z.string() }).optional(),
  receiver: z
    .object({
      state: z.string(),
      flushedLsn: z.string().optional(),
      lagBytes: z.number().optional(),
    })
    .optional(),
  window: z
    .object({
      from: z.string(),
      fromTime: z.string(),
      to: z.string(),
      toTime: z.string().optional(),
      ageMs: z.number().optional(),
    })
    .optional(),
  nextBackupAt: z.string().optional(),
  problems: z.array(z.string()),
  failedJobs: z.array(z.string()).optional(),
  badPages: z.object({ count: z.number(), problem: z.string().optional() }).optional(),
  damage: z.array(z.string()).optional(),
})

/** Reads what a Backstay elsewhere told; undefined when it is no status. */
export function parseBackupStatus(text: string): BackupSideStatus | undefined {
  const read = BackupStatusTold.safeParse(readJson(text))
  return read.success ? (read.data as BackupSideStatus) : undefined
}

const NOTHING = { lastBackup: undefined, receiver: undefined, window: undefined } as const

async function ask(cluster: ClusterContext, backup: BackupWanted): Promise<BackupSideStatus> {
  const { host, osUser: user } = await cluster.machineOf(backup)
  const [program = ''] = SERVICE_COMMAND
  if ((await host.inspect(program)) === undefined) {
    throw new BackstayError('HOST_COMMAND', 'Backstay is not installed there yet: backstay up')
  }
  const words = ['--config', serviceConfigOf(cluster.wanted.name), 'backup-status', '--json']
  const result = await host.run([...SERVICE_COMMAND, ...words], { user, timeoutMs: TIMEOUT_MS })
  const status = result.exitCode === 0 ? parseBackupStatus(result.stdout) : undefined
  if (status !== undefined) return status
  const why = lastLines(result.stderr, 3) || 'what it says is none'
  throw new BackstayError(
    'HOST_COMMAND',
    `Backstay on "${host.name}" cannot tell its status: ${why}`,
  )
}
