/**
 * Looks at the place of the repository: its directory, who owns it, and the password file of the backup server in it.
 */
import { posix } from 'node:path'
import { formatPassfileLine } from '../../postgres/passfile.ts'
import { type ClusterContext, factOf } from '../context.ts'
import type { RepositoryFound } from '../found.ts'
import type { BackupWanted } from '../wanted.ts'

/** The password file of the OS user who owns the repository; readers of the repository skip it. */
export function repositoryPassfile(backup: BackupWanted): string {
  return posix.join(backup.repository, '.pgpass')
}

/** Looks. Undefined without backup part, and when the host does not answer. */
export async function lookRepository(
  context: ClusterContext,
): Promise<RepositoryFound | undefined> {
  const { backup } = context.wanted
  if (backup === undefined) return undefined
  try {
    const { host, osUser } = await context.machineOf(backup)
    const info = await host.inspect(backup.repository)
    if (info === undefined) return { state: 'missing', osUser }
    const path = repositoryPassfile(backup)
    const [text, file, wanted] = await Promise.all([
      host.readFile(path),
      host.inspect(path),
      repositoryPassfileText(context, backup),
    ])
    const isOurs =
      text?.toString() === wanted && file?.owner === osUser && (file.mode & 0o077) === 0
    const passfile = text === undefined ? 'missing' : isOurs ? 'ours' : 'different'
    return { state: 'there', osUser, owner: info.owner, passfile }
  } catch (error) {
    factOf(error)
    return undefined
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
