/**
 * The place of the repository: its directory and the password file of the backup server. Its content is the backup server's.
 */
import { posix } from 'node:path'
import type { ClusterFound, RepositoryFound } from '../found.ts'
import { repositoryPassfileOf } from '../names.ts'
import type { BackupWanted, ClusterWanted } from '../wanted.ts'
import type { ServerPlan } from './server-plan.ts'
import { blocker, type Problem } from './problem.ts'
import { type Step, step } from './step.ts'

const NOTHING: ServerPlan = { steps: [], problems: [] }

/** Plans it. A directory that belongs to somebody else is a problem: what is in it may be somebody else's, too. */
export function planRepository(wanted: ClusterWanted, found: ClusterFound): ServerPlan {
  const { backup } = wanted
  const { repository } = found
  if (backup === undefined || repository === undefined) return NOTHING
  if (repository.state === 'missing') {
    return {
      steps: [directoryStep(backup, repository), passfileStep(backup, 'missing')],
      problems: [],
    }
  }
  const { owner, osUser, passfile } = repository
  if (owner !== osUser) {
    const problem = blocker(backup.name, {
      code: 'DIRECTORY_OWNER',
      message: `Repository "${backup.repository}" belongs to OS user "${owner}", not to "${osUser}"`,
      hint: `Run: chown -R ${osUser} ${backup.repository}`,
    })
    return { steps: [], problems: [problem] }
  }
  const stranger = strangerProblem(wanted, found)
  if (stranger !== undefined) return { steps: [], problems: [stranger] }
  return passfile === 'ours' ? NOTHING : { steps: [passfileStep(backup, passfile)], problems: [] }
}

/** The name's backups are another cluster's: the backup server would refuse this one, and an empty cluster would hide what was lost. */
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
