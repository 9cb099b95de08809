/**
 * Keeps a backup out of retention's and delete's reach, releases it, or says which it is.
 */
import { keepBackup, releaseBackup } from '../../repository/catalogue.ts'
import { KEEP_TARGETS, type KeepTarget } from '../../repository/backup-info.ts'
import type { BarmanContext } from '../context.ts'
import { findServerBackup } from '../server/backups.ts'
import { oneServer } from '../server/chosen-servers.ts'

/** @throws {BackstayError} STORE, BACKUP_MISSING */
export async function run(context: BarmanContext): Promise<void> {
  const { output, options, words } = context
  const { release, status, target } = options
  if ([release, status, target].filter(Boolean).length !== 1) {
    return output.error('one of the arguments -r/--release -s/--status --target is required')
  }
  const server = oneServer(context)
  if (server === undefined) return
  const found = await findServerBackup(context, server, words[1] ?? '')
  if (found === undefined) return
  const { repository, backup } = found
  const { id } = backup.info
  if (status === true) {
    const keep = backup.keep?.target ?? 'nokeep'
    output.lines(`Server ${server.name}:`, `\tKeep: ${keep}`)
    output.data(server.name, { keep: { description: 'Keep', message: keep } })
  } else if (release === true) {
    await releaseBackup(repository, id)
  } else if (isTarget(target)) {
    await keepBackup(repository, id, { reason: null, target })
  }
}

function isTarget(word: unknown): word is KeepTarget {
  return (KEEP_TARGETS as readonly unknown[]).includes(word)
}
