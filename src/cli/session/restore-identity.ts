/**
 * Who restores and who is to run the server: as root, files must end up with PostgreSQL's OS user,
 * and the server's restore_command must be able to read the repository.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import { LocalHost } from '../../host/local-host.ts'
import { LocalUsers } from '../../host/local-users.ts'
import { decideOsUser } from '../../host/os-user.ts'
import { ownerOfWay } from '../../host/owner-of-way.ts'
import { runChecked } from '../../host/run-checked.ts'
import type { Owner } from '../../restore/worker-job.ts'
import { linkedPlaces, type RestoreLayout } from '../../restore/layout.ts'
import { becomeRepositoryOwner } from './repository-owner.ts'
import type { RestoreContext } from './restore-wish.ts'
import { selfProgram } from './self-program.ts'

const DEFAULT_OS_USER = 'postgres'

/**
 * The OS user who is to own the directory and run the server.
 * @throws HOST_PRIVILEGE; USAGE for a copy that root would open as the repository's owner, whom
 * nobody named
 */
export async function osUserOf(
  context: RestoreContext,
  host: Host,
  repositoryDirectory: string,
): Promise<string> {
  const { osUser, repository } = context.options
  if (osUser !== undefined) return await decideOsUser(host, { configured: osUser })
  if (repository === undefined) {
    const { wanted } = await context.config()
    return await decideOsUser(host, { configured: wanted.postgres.osUser })
  }
  // Without a cluster file the repository's owner is the best guess: he is PostgreSQL's user
  // wherever both share a machine.
  const owner = await ownerOfWay(host, `${repositoryDirectory}/.`)
  if (owner === undefined || owner === 'root') {
    return await decideOsUser(host, { configured: DEFAULT_OS_USER })
  }
  const guess = await decideOsUser(host, { configured: owner })
  if (context.options.start !== undefined && host.user === 'root') throw unnamedOwner(guess)
  return guess
}

/**
 * Whoever made the origin's configuration, extensions and triggers would become who can change
 * every backup.
 */
function unnamedOwner(owner: string): BackstayError {
  return new BackstayError(
    'USAGE',
    `Will not open the copy as "${owner}" unasked: the repository is that user's, and what the origin's superuser has put into the copy runs as who opens it`,
    {
      hint: `Name who is to: --os-user postgres, or another user who may not write the repository (its WAL is copied then). Where you trust the origin with the backups: --os-user ${owner}. A cluster file names him, too (postgres.osUser): leave --repository out.`,
      details: { owner },
    },
  )
}

/** Why the server's restore_command would not work, as sentences; empty when it would. */
export async function whatRecoveryCannotRead(
  host: Host,
  osUser: string,
  repositoryDirectory: string,
): Promise<string[]> {
  if (host.user !== 'root') return []
  const problems: string[] = []
  for (const path of [...selfProgram(), `${repositoryDirectory}/repository.json`]) {
    const { exitCode } = await host.run(['test', '-r', path], { user: osUser })
    if (exitCode !== 0) problems.push(`OS user "${osUser}" cannot read "${path}", as recovery must`)
  }
  return problems
}

/** Who writes the files from here on. */
export interface Writer {
  readonly host: Host
  /** To whom files must be given; undefined when the process is that user. */
  readonly owner: Owner | undefined
}

/**
 * As root: makes the directories for `osUser`, then goes on as the repository's owner where that is
 * the same user, so that the locks taken in the repository stay his. Otherwise nothing changes.
 */
export async function becomeWriter(
  osUser: string,
  layout: RestoreLayout,
  repositoryDirectory: string,
): Promise<Writer> {
  const host = new LocalHost('localhost')
  if (host.user !== 'root') return { host, owner: undefined }
  const repositoryOwner = await ownerOfWay(host, `${repositoryDirectory}/.`)
  await host.makeDirectory(layout.directory, { owner: osUser })
  for (const { directory, isNamed } of linkedPlaces(layout)) {
    if (isNamed) await host.makeDirectory(directory, { owner: osUser })
    else await makeAsUser(host, directory, osUser)
  }
  if (repositoryOwner === osUser) await becomeRepositoryOwner(repositoryDirectory)
  const writer = new LocalHost('localhost')
  if (writer.user === osUser) return { host: writer, owner: undefined }
  const { uid, gid } = await new LocalUsers().byName(osUser)
  return { host: writer, owner: { uid, gid } }
}

/** The name came from the backup: nothing is made or given away that the OS user could not make. */
async function makeAsUser(host: Host, directory: string, user: string): Promise<void> {
  await runChecked(host, ['mkdir', '-p', '-m', '700', '--', directory], { user })
  const found = await host.inspect(directory)
  if (found?.kind === 'directory' && found.owner === user) return
  throw new BackstayError(
    'DIRECTORY_OWNER',
    `Cannot restore a tablespace into "${directory}": it is ${found?.kind === 'directory' ? `of "${found.owner}"` : 'no directory'}`,
    { hint: `Give it to "${user}": install -d -o ${user} -m 700 ${directory}` },
  )
}

/**
 * A standby follows the archive for ever: a copy of the WAL would be its end.
 * @throws {BackstayError} HOST_PRIVILEGE, USAGE
 */
export function refuseStandby({ options }: RestoreContext, problems: readonly string[]): void {
  if (!options.standbyMode) return
  const [first] = problems
  if (first === undefined) {
    throw new BackstayError('USAGE', 'Cannot use --copy-wal with --standby-mode')
  }
  throw new BackstayError('HOST_PRIVILEGE', `Cannot make a standby: ${first}`, {
    hint: 'Run the standby as the OS user who owns the repository (--os-user), or leave --standby-mode out: it is nobody else’s.',
  })
}
