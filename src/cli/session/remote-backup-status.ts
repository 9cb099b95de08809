/**
 * The backup server's part of `status` and `check` when its repository is on another machine: the Backstay there is asked.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { lastLines } from '../../host/run-checked.ts'
import { type ClusterContext, factOf } from '../../cluster/context.ts'
import { SERVICE_COMMAND, serviceConfigOf } from '../../cluster/service/service-source.ts'
import type { BackupStatus, BackupStatusProvider } from '../../cluster/status.ts'
import type { BackupWanted } from '../../cluster/wanted.ts'
import type { Clock } from '../../util/clock.ts'
import { backupStatusProvider } from './backup-status.ts'
import type { ClusterSession } from './cluster-session.ts'

const TIMEOUT_MS = 30_000

/** Asks here or there; undefined when the cluster file has no backup part. */
export function sessionBackupStatus(
  { wanted, cluster }: ClusterSession,
  clock: Clock,
): BackupStatusProvider | undefined {
  const { backup } = wanted
  if (backup === undefined || backup.host.local) return backupStatusProvider(wanted, clock)
  return {
    backupStatus: async () => {
      try {
        return await ask(cluster, backup)
      } catch (error) {
        const { message } = factOf(error)
        return { ...NOTHING, server: backup.name, problems: [message] }
      }
    },
  }
}

const NOTHING = { lastBackup: undefined, receiver: undefined, window: undefined } as const

async function ask(cluster: ClusterContext, backup: BackupWanted): Promise<BackupStatus> {
  const { host, osUser: user } = await cluster.machineOf(backup)
  const [program = ''] = SERVICE_COMMAND
  if ((await host.inspect(program)) === undefined) {
    throw new BackstayError('HOST_COMMAND', 'Backstay is not installed there yet: backstay up')
  }
  const words = ['--config', serviceConfigOf(cluster.wanted.name), 'backup-status', '--json']
  const result = await host.run([...SERVICE_COMMAND, ...words], { user, timeoutMs: TIMEOUT_MS })
  if (result.exitCode === 0) return JSON.parse(result.stdout) as BackupStatus
  throw new BackstayError(
    'HOST_COMMAND',
    `Backstay on "${host.name}" cannot tell its status: ${lastLines(result.stderr, 3)}`,
  )
}
