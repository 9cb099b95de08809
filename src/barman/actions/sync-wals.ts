/**
 * Copies WAL from the primary Barman.
 */
import { isBackstayError } from '../../errors/backstay-error.ts'
import { pairUp } from '../passive/pair-up.ts'
import { syncWal } from '../passive/sync.ts'
import type { BarmanContext } from '../context.ts'
import { passiveServer } from '../server/passive-server.ts'

/** @throws {BackstayError} HOST_COMMAND, WAL_INVALID, POSTGRES_IDENTITY, DISK_SPACE, STORE */
export async function run(context: BarmanContext): Promise<void> {
  const { output } = context
  const server = passiveServer(context, 'sync-wals')
  if (server === undefined) return
  try {
    await using pair = await pairUp(context, server)
    const files = await syncWal(pair)
    output.info(`${files} WAL files are copied from the primary of server ${server.name}`)
  } catch (error) {
    if (!isBackstayError(error, 'REPOSITORY_LOCKED')) throw error
    output.info(`Another process copies WAL files of server ${server.name} already`)
  }
}
