/**
 * Takes backups. Each restores as a full one and stores only what changed.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { bytesBetween, formatLsn, type Lsn, toLsn } from '../../postgres/lsn.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import { storeAt } from '../../store/address.ts'
import { type BackUpEvent, backUp } from '../../work/back-up.ts'
import type { BarmanContext } from '../context.ts'
import { plainTime, prettySize, prettySpan } from '../output/pretty.ts'
import { withHooks } from '../hooks.ts'
import { backupsOf, findServerBackup } from '../server/backups.ts'
import { backupVariables } from '../server/hook-variables.ts'
import { backupConnection } from '../server/connections.ts'
import { severalServers } from '../server/chosen-servers.ts'
import { placeOf } from '../server/barman-place.ts'
import { segmentAt } from '../server/wal-of-backup.ts'

/** What a backup fails with is said for its server; the others have their turn. */
export async function run(context: BarmanContext): Promise<void> {
  const { output } = context
  for (const server of severalServers(context, { skipPassive: true })) {
    try {
      await backUpServer(context, server)
    } catch (error) {
      if (!(error instanceof BackstayError)) throw error
      output.error(`Backup failed for server ${server.name}.\nDETAILS: ${error.message}`)
    }
  }
}

async function backUpServer(context: BarmanContext, server: BarmanServer): Promise<void> {
  const { output, options, clock, environment, signal } = context
  const { incremental, name: label = null } = options
  if (incremental !== undefined) {
    // Any backup stores only what changed since the last one; the named one must at least be there.
    if ((await findServerBackup(context, server, incremental)) === undefined) return
  }
  const { store, name } = placeOf(context, server)
  const startedAtMs = clock.now()
  const take = (): Promise<BackupInfo> =>
    backUp(
      { store: storeAt(store.location), cluster: name, clock },
      {
        servers: [backupConnection(server, environment)],
        nameOf: () => server.name,
        label,
        full: false,
        checkpoint: isFast(context, server) ? 'fast' : 'spread',
        ...rateOf(context, server),
        jobs: jobsOf(context, server),
        ...waitOf(context),
        createdBy: context.createdBy,
      },
      { signal, on: (event) => tell(context, server, event) },
    )
  const all = await backupsOf(context, server)
  const variables = (done: BackupInfo | undefined): Record<string, string> =>
    backupVariables(context, server, { id: done?.id, all })
  const info = await withHooks({ context, server, name: 'backup', variables }, take)
  sayDone(context, info, startedAtMs)
  if (info.badPages.count > 0) {
    output.warning(
      `Backup ${info.id} holds ${info.badPages.count} pages whose checksum is wrong on the server`,
    )
  }
}

function isFast({ options }: BarmanContext, server: BarmanServer): boolean {
  return options.immediateCheckpoint ?? server.immediateCheckpoint
}

function rateOf({ options }: BarmanContext, server: BarmanServer): { maxRateBytes?: number } {
  const kilobytes = options.bwlimit ?? server.bandwidthKilobytes ?? 0
  return kilobytes > 0 ? { maxRateBytes: kilobytes * 1024 } : {}
}

function waitOf({ options }: BarmanContext): { walTimeoutMs?: number } {
  const seconds = options.waitTimeout ?? 0
  return seconds > 0 ? { walTimeoutMs: seconds * 1000 } : {}
}

/**
 * Barman's jobs are copies; ours are compression threads, and one is too few unless it was asked
 * for.
 */
function jobsOf({ options }: BarmanContext, server: BarmanServer): number | undefined {
  const jobs = options.jobs ?? server.parallelJobs
  return jobs > 1 ? jobs : undefined
}

function tell(context: BarmanContext, server: BarmanServer, event: BackUpEvent): void {
  const { output } = context
  if (event.kind === 'warning') return output.warning(event.text)
  if (event.kind === 'planned') {
    const { store, names } = placeOf(context, server)
    const directory = `${store.location}/${names.backupFolder(event.id)}`
    output.info(`Starting backup using postgres method for server ${server.name} in ${directory}`)
    output.info(`Starting backup copy via pg_basebackup for ${event.id}`)
  }
  if (event.kind === 'step' && event.step === 'stored') output.info('Finalising the backup.')
}

function sayDone({ output, clock }: BarmanContext, info: BackupInfo, startedAtMs: number): void {
  const tookText = prettySpan(clock.now() - startedAtMs)
  output.info(`Copy done (time: ${tookText})`)
  output.info(`Backup start at LSN: ${place(info.startLsn, info)}`)
  output.info(`Backup size: ${prettySize(info.bytes.database)}`)
  output.info(`Backup end at LSN: ${place(info.stopLsn, info)}`)
  output.info(`Backup completed (start time: ${plainTime(startedAtMs)}, elapsed time: ${tookText})`)
}

/** `0/2000060 (000000010000000000000002, 00000060)`. */
function place(lsn: Lsn, info: BackupInfo): string {
  const segment = segmentAt(lsn === info.stopLsn ? toLsn(lsn - 1n) : lsn, info)
  const offset = bytesBetween(toLsn(0n), toLsn(lsn % BigInt(info.postgres.segmentBytes)))
  return `${formatLsn(lsn)} (${segment}, ${offset.toString(16).toUpperCase().padStart(8, '0')})`
}
