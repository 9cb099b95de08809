/**
 * Deletes a backup, and the WAL that nothing else needs.
 */
import { deleteBackup } from '../../backup/expire.ts'
import { formatSegmentName } from '../../postgres/segment-name.ts'
import type { BarmanContext } from '../context.ts'
import { ctime, prettySpan } from '../output/pretty.ts'
import { withHooks } from '../hooks.ts'
import { withWalHooks } from '../wal-hooks.ts'
import { findServerBackup } from '../server/backups.ts'
import { backupVariables } from '../server/hook-variables.ts'
import { oneServer } from '../server/chosen-servers.ts'

/** @throws {BackstayError} REPOSITORY_LOCKED, REPOSITORY_DAMAGED, STORE */
export async function run(context: BarmanContext): Promise<void> {
  const { output, clock, words } = context
  const server = oneServer(context, { inactive: true })
  if (server === undefined) return
  const found = await findServerBackup(context, server, words[1] ?? '')
  if (found === undefined) return
  const { repository, backup, all } = found
  const { id } = backup.info
  const why = whyNot(backup.keep !== undefined, all.length, server.minimumRedundancy)
  if (why !== undefined) {
    output.warning(`Skipping delete of backup ${id} for server ${server.name} ${why}`)
    return output.error(`Cannot delete backup (${server.name} ${id})`)
  }
  const startedAtMs = clock.now()
  output.info(`Deleting backup ${id} for server ${server.name}`)
  const variables = (): Record<string, string> => backupVariables(context, server, { id, all })
  const hooked = await withWalHooks(context, server, repository)
  const { plan } = await withHooks({ context, server, name: 'delete', variables }, () =>
    deleteBackup(hooked, id, {
      minimum: server.minimumRedundancy,
    }),
  )
  const { segmentBytes } = repository.identity
  if (plan.segments.length > 0) output.info('Delete associated WAL segments:')
  for (const segment of plan.segments) output.info(`\t${formatSegmentName(segment, segmentBytes)}`)
  const tookText = prettySpan(clock.now() - startedAtMs)
  output.info(`Deleted backup ${id} (start time: ${ctime(startedAtMs)}, elapsed time: ${tookText})`)
}

function whyNot(isKept: boolean, backups: number, minimum: number): string | undefined {
  if (isKept) {
    return 'as it has a current keep request (use `barman keep --release` to release it)'
  }
  if (minimum < backups || minimum === 0) return undefined
  return `due to minimum redundancy requirements (minimum redundancy = ${minimum}, current redundancy = ${backups})`
}
