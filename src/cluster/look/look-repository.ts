/**
 * Looks at the place of the repository: its directory, who owns it, the password file of the backup
 * server in it, and whose backups it holds.
 */
import { isBackstayError } from '../../errors/backstay-error.ts'
import { formatPassfileLine } from '../../postgres/passfile.ts'
import { parseBackupId } from '../../repository/backup-info.ts'
import { readSealed } from '../../repository/sealed-object.ts'
import { type ClusterContext, orElse } from '../context.ts'
import type { RepositoryFound } from '../found.ts'
import { repositoryPassfileOf } from '../names.ts'
import { repositoryThere } from '../repository-there.ts'
import type { BackupWanted } from '../wanted.ts'

/** Looks. Undefined without backup part, and when the host does not answer. */
export async function lookRepository(
  context: ClusterContext,
): Promise<RepositoryFound | undefined> {
  const { backup } = context.wanted
  if (backup === undefined) return undefined
  return await orElse(async () => {
    const { host, osUser } = await context.machineOf(backup)
    const info = await host.inspect(backup.repository)
    if (info === undefined) return { state: 'missing', osUser }
    const path = repositoryPassfileOf(backup.repository)
    const [text, file, wanted, systemIdentifier] = await Promise.all([
      host.readFile(path),
      host.inspect(path),
      repositoryPassfileText(context, backup),
      lookIdentity(context, backup),
    ])
    const isOurs =
      text?.toString() === wanted && file?.owner === osUser && (file.mode & 0o077) === 0
    const passfile = text === undefined ? 'missing' : isOurs ? 'ours' : 'different'
    return { state: 'there', osUser, owner: info.owner, passfile, systemIdentifier }
  }, undefined)
}

/** A damaged one is for the backup server to report. */
async function lookIdentity(
  context: ClusterContext,
  backup: BackupWanted,
): Promise<string | undefined> {
  const { store, names } = await repositoryThere(context, backup)
  try {
    const identity = await readSealed(store, names.identity)
    return identity && String(identity['systemIdentifier'])
  } catch (error) {
    const isToReport =
      isBackstayError(error, 'REPOSITORY_DAMAGED') || isBackstayError(error, 'REPOSITORY_FORMAT')
    if (isToReport) return undefined
    throw error
  }
}

/** What the password file is to hold; undefined while the passwords are not made yet. */
export async function repositoryPassfileText(
  { state }: Pick<ClusterContext, 'state'>,
  backup: BackupWanted,
): Promise<string | undefined> {
  const roles = [backup.backupRole, backup.streamRole]
  const passwords = await state.readPasswords(roles)
  const lines = roles.flatMap((user) => {
    const password = passwords.get(user)
    return password === undefined ? [] : [`${formatPassfileLine({ user, password })}\n`]
  })
  return lines.length === roles.length ? lines.join('') : undefined
}

/** The newest backup that is listed, when a server's clone may come from it. */
export async function lookNewestBackup(context: ClusterContext): Promise<string | undefined> {
  const { backup, servers } = context.wanted
  if (backup === undefined || !servers.some((server) => server.clonesFromBackup)) return undefined
  return await orElse(async () => {
    const { store, names } = await repositoryThere(context, backup)
    for (const folder of (await store.listFolders(names.backups)).toReversed()) {
      const id = parseBackupId(folder)
      if (id !== undefined && (await store.size(names.backupInfo(id))) !== undefined) return id
    }
    return undefined
  }, undefined)
}
