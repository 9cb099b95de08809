/**
 * The place of the repository: its directory and the password file of the backup server. Its
 * content is the backup server's.
 */
import { posix } from 'node:path'
import type { ClusterFound, RepositoryFound } from '../../cluster/found.ts'
import { repositoryPassfileOf } from '../../cluster/names.ts'
import type { BackupWanted, ClusterWanted } from '../../cluster/wanted.ts'
import type { ServerPlan } from './server-plan.ts'
import { blocker, type Problem } from '../../cluster/problem.ts'
import { type Step, step } from './step.ts'

const NOTHING: ServerPlan = { steps: [], problems: [] }

/**
 * Plans it. A directory that belongs to somebody else is a problem: what is in it may be somebody
 * else's, too.
 */
export function planRepository(wanted: ClusterWanted, found: ClusterFound): ServerPlan {
  const { backup } = wanted
  const { repository } = found
  if (backup === undefined || repository === undefined) return NOTHING
  if (repository.state === 'missing') {
    // Its OS user may be missing as well, which only a look at the machine tells; that failed, and
    // is a warning of its own.
    if (found.backupHost?.hostError !== undefined) return NOTHING
    return {
      steps: [directoryStep(backup, repository), passfileStep(backup, 'missing')],
      problems: [],
    }
  }
  const { owner, osUser, passfile } = repository
  if (owner !== osUser) return { steps: [], problems: [ownerProblem(wanted, backup, repository)] }
  const stranger = strangerProblem(wanted, found)
  if (stranger !== undefined) return { steps: [], problems: [stranger] }
  return passfile === 'ours' ? NOTHING : { steps: [passfileStep(backup, passfile)], problems: [] }
}

/** Who owns the repository, and who would. */
interface Owners {
  readonly owner: string
  readonly osUser: string
}

/**
 * Who owns the repository keeps it: to give away a repository full of backups because a default has
 * changed (the machine runs a server now) would take it from the service that fills it.
 */
function ownerProblem(
  wanted: ClusterWanted,
  backup: BackupWanted,
  { owner, osUser }: Owners,
): Problem {
  const { repository } = backup
  return blocker(backup.name, {
    code: 'DIRECTORY_OWNER',
    message: `Repository "${repository}" belongs to OS user "${owner}", not to "${osUser}"`,
    hint: ownerHint(wanted, backup, { owner, osUser }),
  })
}

function ownerHint(wanted: ClusterWanted, backup: BackupWanted, { owner, osUser }: Owners): string {
  const { repository } = backup
  // Backstay that is not root works as itself, whatever the key says.
  if (backup.osUser !== undefined && osUser !== backup.osUser) {
    return `Run Backstay as root or as "${owner}".`
  }
  const give = `chown -R ${osUser} ${repository}`
  if (owner === 'root') return `Nothing runs as root: give the directory to "${osUser}": ${give}`
  if (storesAsServer(wanted, backup)) {
    return `archive_command there stores as "${osUser}" (replication.archive: backup). Stop the services of "${owner}" that use the repository, then: ${give}; or archive another way and write "osUser: ${owner}" in the backup part of the cluster file.`
  }
  return `To keep it so, write "osUser: ${owner}" in the backup part of the cluster file (backup.osUser).`
}

function storesAsServer(wanted: ClusterWanted, { host }: BackupWanted): boolean {
  const { replication, servers } = wanted
  return (
    replication.archivesToRepository === true &&
    servers.some((server) => server.host.address === host.address)
  )
}

/**
 * The name's backups are another cluster's: the backup server would refuse this one, and an empty
 * cluster would hide what was lost.
 */
function strangerProblem(wanted: ClusterWanted, found: ClusterFound): Problem | undefined {
  const { backup, name } = wanted
  const { repository, identity } = found
  if (backup === undefined || repository?.state !== 'there') return undefined
  const { systemIdentifier } = repository
  if (systemIdentifier === undefined || systemIdentifier === identity?.systemIdentifier) {
    return undefined
  }
  const own = identity === undefined ? 'not built yet' : identity.systemIdentifier
  return blocker(backup.name, {
    code: 'POSTGRES_IDENTITY',
    message: `Repository "${backup.repository}" holds backups of another cluster "${name}": their system identifier is ${systemIdentifier}, this one's is ${own}`,
    hint: `To have those data back, restore them first (backstay restore). Otherwise give this cluster another name or repository, or move ${posix.join(backup.repository, name)} aside.`,
  })
}

function directoryStep({ name, repository: path }: BackupWanted, found: RepositoryFound): Step {
  const text = `${path} (of OS user ${found.osUser}, mode 700)`
  return step(
    name,
    { action: 'repository', path },
    { title: `make directory ${path}`, reason: 'it is missing', diff: [{ sign: '+', text }] },
  )
}

function passfileStep(backup: BackupWanted, state: 'missing' | 'different'): Step {
  const path = repositoryPassfileOf(backup.repository)
  const reason = state === 'missing' ? 'it is missing' : 'it is not as it should be'
  return step(
    backup.name,
    { action: 'repository-passfile', path },
    {
      title: `write password file ${path}`,
      reason,
      diff: [{ sign: '+', text: `${path} (mode 600)` }],
    },
  )
}
