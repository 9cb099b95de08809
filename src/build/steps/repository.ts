/**
 * Makes the place of the repository.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { repositoryPassfileText } from '../../cluster/look/look-repository.ts'
import type { BackupWanted } from '../../cluster/wanted.ts'
import type { Act } from './act-context.ts'
import type { ClusterContext } from '../../cluster/context.ts'

/** Makes the directory (0700), owned by the OS user of the backup server. */
export const makeRepositoryDirectory: Act<'repository'> = async (context, step) => {
  const { host, osUser } = await context.machineOf(backupOf(context))
  await host.makeDirectory(step.path, { mode: 0o700, owner: osUser })
}

/** Writes the file that backups and the WAL receiver take their passwords from. */
export const writeRepositoryPassfile: Act<'repository-passfile'> = async (context, step) => {
  const backup = backupOf(context)
  const content = await repositoryPassfileText(context, backup)
  if (content === undefined) {
    throw new BackstayError('BUG', `Cannot write "${step.path}": its roles have no passwords`)
  }
  const { host, osUser } = await context.machineOf(backup)
  await host.writeFile(step.path, content, { mode: 0o600, owner: osUser })
}

function backupOf({ wanted }: ClusterContext): BackupWanted {
  if (wanted.backup !== undefined) return wanted.backup
  throw new BackstayError('BUG', 'A step for the repository without a backup part')
}
