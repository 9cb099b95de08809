/**
 * Restores a backup to a moment.
 */
import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { BarmanServer } from '../../config/barman/model.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { isMarkerLeftover, MARKER_NAME } from '../../restore/marker.ts'
import { formatTimeUs } from '../../restore/target-time.ts'
import type { BackupChoice } from '../../restore/wish.ts'
import { planInRepository } from '../../work/plan-restore.ts'
import type { BarmanContext } from '../context.ts'
import { isoTime, prettySpan } from '../output/pretty.ts'
import { type PlannedRestore, restoreLocally } from '../restore/local-restore.ts'
import { restoreRemotely, whyNotRemote } from '../restore/remote-restore.ts'
import { orderOf, type BarmanRestoreOrder } from '../restore/order.ts'
import { withHooks } from '../hooks.ts'
import { backupsOf, findServerBackup } from '../server/backups.ts'
import { backupVariables } from '../server/hook-variables.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { openServer } from '../server/barman-place.ts'

const GET_WAL_NOTE = `'get-wal' is in the specified 'recovery_options'.
Before you start up the PostgreSQL server, please review the postgresql.auto.conf file
inside the target directory. Make sure that 'restore_command' can be executed by the PostgreSQL user.
`

/**
 * @throws {BackstayError} TARGET_UNREACHABLE, DIRECTORY_FOREIGN, DISK_SPACE, REPOSITORY_DAMAGED, …
 */
export async function run(context: BarmanContext): Promise<void> {
  const { output, clock } = context
  const startedAtMs = clock.now()
  const server = oneServer(context, { inactive: true })
  if (server === undefined) return
  const read = orderOf(context, server)
  if (typeof read === 'string') return output.error(read)
  for (const warning of read.warnings) output.warning(warning)
  const found = await chooseBackup(context, server)
  if (found === undefined) return
  const isRemote = read.remote !== undefined
  const order = isRemote ? read : { ...read, destination: resolve(read.destination) }
  const course = { context, server, order, found, startedAtMs }
  const why = await whyNot(course)
  if (why === undefined) await carryOut(course)
  else output.error(why)
}

interface BarmanRestore {
  readonly context: BarmanContext
  readonly server: BarmanServer
  readonly order: BarmanRestoreOrder
  readonly found: Chosen
  readonly startedAtMs: number
}

/** What can be refused before the plan is made. */
async function whyNot({
  context,
  server,
  order,
  found,
}: BarmanRestore): Promise<string | undefined> {
  const { destination, remote, isDelta } = order
  const { info } = found
  if (info !== undefined) {
    sayStart(context, server, { id: info.id, order })
    const early = whyTooEarly(order, info)
    if (early !== undefined) return early
  }
  if (remote !== undefined || isDelta || !(await isFilled(destination))) return undefined
  return `The restore operation cannot proceed because the destination folder '${destination}' is not empty. To prevent accidental data loss, the destination must be empty. Please choose a different location or manually empty the folder.`
}

async function carryOut({
  context,
  server,
  order,
  found,
  startedAtMs,
}: BarmanRestore): Promise<void> {
  const { output, signal } = context
  const { repository, choice, info } = found
  const { target, timeline, action, standbyMode } = order
  const wish = { backup: choice, target, timeline, action, standbyMode }
  const { plan, sources } = await planInRepository(repository, wish, { signal })
  if (info === undefined) sayStart(context, server, { id: plan.backup.id, order })
  if (order.targetText !== undefined) {
    output.info(`Doing PITR. Recovery target ${order.targetText}`)
  }
  for (const warning of plan.warnings) output.warning(warning)
  const planned = { context, server, repository, sources, plan, order }
  const all = await backupsOf(context, server)
  const variables = (): Record<string, string> => ({
    ...backupVariables(context, server, { id: plan.backup.id, all }),
    BARMAN_DESTINATION_DIRECTORY: order.destination,
    BARMAN_TABLESPACES: JSON.stringify(order.tablespaces),
    BARMAN_REMOTE_COMMAND: order.remote ?? '',
    BARMAN_RECOVER_OPTIONS: JSON.stringify(context.options),
  })
  const hooks = { context, server, name: 'recovery', variables } as const
  const warnings = await withHooks(hooks, () => restoreTo(planned))
  if (warnings === undefined) return
  sayEnd(context, { startedAtMs, warnings, getWal: order.getWal, timeline: plan.timeline })
}

/** Undefined when it was said why it cannot be done. */
async function restoreTo(
  planned: Omit<PlannedRestore, 'directory'>,
): Promise<readonly string[] | undefined> {
  const { order, context } = planned
  if (order.remote === undefined) {
    return await restoreLocally({ ...planned, directory: order.destination })
  }
  const why = whyNotRemote(planned)
  if (why === undefined) return await restoreRemotely(planned)
  context.output.error(why)
  return undefined
}

interface Chosen {
  readonly repository: ClusterRepository
  readonly choice: BackupChoice
  /** Undefined for `auto`, until it is planned. */
  readonly info: BackupInfo | undefined
}

async function chooseBackup(
  context: BarmanContext,
  server: BarmanServer,
): Promise<Chosen | undefined> {
  const word = context.words[1] ?? ''
  if (word !== 'auto') {
    const found = await findServerBackup(context, server, word)
    if (found === undefined) return undefined
    const { info } = found.backup
    return { repository: found.repository, choice: info.id, info }
  }
  const repository = await openServer(context, server)
  if (repository !== undefined) return { repository, choice: 'auto', info: undefined }
  context.output.error(`Unknown backup 'auto' for server '${server.name}'`)
  return undefined
}

function whyTooEarly({ target }: BarmanRestoreOrder, info: BackupInfo): string | undefined {
  if (target.type !== 'time') return undefined
  const endMs = Date.parse(info.finishedAt)
  if (target.timeUs >= BigInt(endMs) * 1000n) return undefined
  return `The requested target time ${formatTimeUs(target.timeUs)}:00 is before the backup end time ${isoTime(endMs)}`
}

async function isFilled(directory: string): Promise<boolean> {
  const names = await readdir(directory).catch(() => [])
  // What a restore that died has left can be restored over.
  return names.length > 0 && !names.some((name) => name === MARKER_NAME || isMarkerLeftover(name))
}

function sayStart(
  { output }: BarmanContext,
  server: BarmanServer,
  what: { readonly id: string; readonly order: BarmanRestoreOrder },
): void {
  const { remote, destination } = what.order
  const way = remote === undefined ? 'local' : 'remote'
  output.info(`Starting ${way} restore for server ${server.name} using backup ${what.id}`)
  output.info(`Destination directory: ${destination}`)
  if (remote !== undefined) output.info(`Remote command: ${remote}`)
}

interface End {
  readonly startedAtMs: number
  readonly warnings: readonly string[]
  readonly getWal: boolean
  readonly timeline: number
}

function sayEnd({ output, clock }: BarmanContext, end: End): void {
  const { startedAtMs, warnings, getWal, timeline } = end
  const tookMs = clock.now() - startedAtMs
  output.info('Generating recovery configuration')
  output.info('Identify dangerous settings in destination directory.')
  const change = ['postgresql.auto.conf', 0, 'archive_mode', 'off'] as const
  output.data('changes', [[...change]])
  output.data('changes_count', 1)
  output.data('missing_files', [])
  output.data('warnings', warnings)
  output.data('warnings_count', warnings.length)
  output.data('recovery_elapsed_time', prettySpan(tookMs))
  output.data('recovery_elapsed_time_seconds', tookMs / 1000)
  output.data('recovery_start_time', isoTime(startedAtMs))
  output.data('recovery_start_time_timestamp', String(Math.floor(startedAtMs / 1000)))
  output.lines(
    '',
    'IMPORTANT',
    'These settings have been modified to prevent data losses',
    '',
    'postgresql.auto.conf: archive_mode = off',
  )
  if (warnings.length > 0) {
    const head = 'You are required to review the following options as potentially dangerous'
    output.lines('', 'WARNING', head, '', ...warnings)
  }
  output.lines('')
  if (getWal) output.warning(GET_WAL_NOTE)
  output.info(`Recovery follows timeline ${timeline}.`)
  output.lines(
    `Restore operation completed (start time: ${isoTime(startedAtMs)}, elapsed time: ${prettySpan(tookMs)})`,
    'Your PostgreSQL server has been successfully prepared for recovery!',
  )
}
