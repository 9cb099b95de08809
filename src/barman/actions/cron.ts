/**
 * What Barman's cron line runs every minute: starts the receivers that do not run, stores incoming
 * WAL, enforces retention. One server that fails does not keep the others from their turn.
 */
import { expireCluster } from '../../backup/expire.ts'
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import { takeLock } from '../../repository/lock.ts'
import type { BarmanContext } from '../context.ts'
import { policyOf } from '../server/backups.ts'
import { openServer, placeOf } from '../server/barman-place.ts'
import { withWalHooks } from '../wal-hooks.ts'
import { pidOfTask, startDetached, stopTask } from '../server/receiver-process.ts'

/** @throws {BackstayError} never for one server: what it says goes to the output. */
export async function run(context: BarmanContext): Promise<void> {
  for (const server of context.config.servers) {
    // What is wrong with a server's configuration is said by check, not every minute.
    if (!server.active || server.problems.length > 0) continue
    try {
      await tend(context, server)
    } catch (error) {
      if (!(error instanceof BackstayError)) throw error
      context.output.error(`${server.name}: ${error.message}`)
    }
  }
}

async function tend(context: BarmanContext, server: BarmanServer): Promise<void> {
  const { output } = context
  const { store, names, clock } = placeOf(context, server)
  const wish = { name: 'cron', mode: 'exclusive', purpose: `cron for "${server.name}"` } as const
  try {
    await using _lock = await takeLock({ store, names, clock }, wish)
    if (!server.isPassive) await tendWal(context, server)
    await enforceRetention(context, server)
    if (server.isPassive) await tendCopy(context, server)
  } catch (error) {
    if (!isBackstayError(error, 'REPOSITORY_LOCKED')) throw error
    output.info(
      `Another cron process is already running on server ${server.name}. Skipping to the next server`,
    )
  }
}

async function tendWal(context: BarmanContext, server: BarmanServer): Promise<void> {
  context.output.info(`Starting WAL archiving for server ${server.name}`)
  startDetached(context, ['archive-wal', server.name])
  await tendReceiver(context, server)
}

/** One backup at a time, the oldest first. */
async function tendCopy(context: BarmanContext, server: BarmanServer): Promise<void> {
  const { output } = context
  const { pairUp } = await import('../passive/pair-up.ts')
  await using pair = await pairUp(context, server)
  const [next] = pair.missing
  const isBusy = (await pidOfTask(context, server, 'sync-backup')) !== undefined
  if (next !== undefined && !isBusy) {
    output.info(`Starting copy of backup ${next.info.id} for server ${server.name}`)
    startDetached(context, ['sync-backup', server.name, next.info.id])
  }
  startDetached(context, ['sync-wals', server.name])
  output.info(`Started copy of WAL files for server ${server.name}`)
}

async function tendReceiver(context: BarmanContext, server: BarmanServer): Promise<void> {
  if (server.isServed === true) return
  const isRunning = (await pidOfTask(context, server, 'receive-wal')) !== undefined
  if (server.streamingArchiver && !isRunning) {
    context.output.info(`Starting streaming archiver for server ${server.name}`)
    startDetached(context, ['receive-wal', server.name])
  }
  if (!server.streamingArchiver && isRunning) await stopTask(context, server, 'receive-wal')
}

async function enforceRetention(context: BarmanContext, server: BarmanServer): Promise<void> {
  const policy = policyOf(server)
  const repository = await openServer(context, server)
  if (policy === undefined || repository === undefined) return
  try {
    const hooked = await withWalHooks(context, server, repository)
    const { plan } = await expireCluster(hooked, policy)
    for (const { id } of plan.expire) {
      context.output.info(
        `Enforcing retention policy: removing backup ${id} for server ${server.name}`,
      )
    }
  } catch (error) {
    // A backup is being taken: the next minute comes.
    if (!isBackstayError(error, 'REPOSITORY_LOCKED')) throw error
  }
}
