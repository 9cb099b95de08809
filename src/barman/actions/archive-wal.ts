/**
 * Stores what waits in the incoming directory. Streamed WAL needs no archiving: its receiver stores
 * it.
 */
import type { BarmanContext } from '../context.ts'
import { takeLock } from '../../repository/lock.ts'
import { isBackstayError } from '../../errors/backstay-error.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { placeOf } from '../server/barman-place.ts'
import { takeIncoming } from '../wal/incoming.ts'

/** @throws {BackstayError} STORE, DISK_SPACE, POSTGRES_UNREACHABLE */
export async function run(context: BarmanContext): Promise<void> {
  const { output } = context
  const server = oneServer(context, { skipPassive: true })
  if (server === undefined) return
  const { store, names, clock } = placeOf(context, server)
  const wish = { name: 'archive-wal', mode: 'exclusive', purpose: 'storing incoming WAL' } as const
  try {
    await using _lock = await takeLock({ store, names, clock }, wish)
    output.info(`Processing xlog segments from file archival for ${server.name}`)
    const taken = await takeIncoming(context, server)
    for (const { name, setAside } of taken) {
      if (setAside === undefined) output.info(`\t${name}`)
      else output.warning(`WAL file '${name}' was not archived: ${setAside}`)
    }
    if (taken.length === 0) output.info('\tno file found')
  } catch (error) {
    if (!isBackstayError(error, 'REPOSITORY_LOCKED')) throw error
    output.info(`Another archive-wal process is already running for server ${server.name}.`)
  }
}
