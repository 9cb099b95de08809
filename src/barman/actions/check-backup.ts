/**
 * Says whether all WAL that makes a backup consistent is held.
 */
import { walRangeHeld } from '../server/wal-of-backup.ts'
import type { BarmanContext } from '../context.ts'
import { findServerBackup } from '../server/backups.ts'
import { oneServer } from '../server/chosen-servers.ts'

/** Missing WAL makes the command fail and is named. @throws {BackstayError} STORE */
export async function run(context: BarmanContext): Promise<void> {
  const { output, words } = context
  const server = oneServer(context)
  if (server === undefined) return
  const found = await findServerBackup(context, server, words[1] ?? '')
  if (found === undefined) return
  const missing = await walRangeHeld(found.repository, found.backup.info)
  if (missing === undefined) return
  output.error(`At least one WAL file is missing. The first missing WAL file is ${missing}`)
}
