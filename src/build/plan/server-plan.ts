/**
 * What the plan of every server is made of, whatever its role: directories, password file, start,
 * restart or reload.
 */
import { describeTightDisk, roomRemedy } from '../../host/full-disk.ts'
import type { FoundError, ServerFound } from '../../cluster/found.ts'
import { passfilePathOf } from '../../cluster/names.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import type { ConfigurationPlan } from './configuration.ts'
import { added } from './diff.ts'
import type { MemberFound } from '../../cluster/leader.ts'
import { type Problem, problemOf } from '../../cluster/problem.ts'
import { type Step, step } from './step.ts'

/** Steps and problems of one server. */
export interface ServerPlan {
  readonly steps: readonly Step[]
  readonly problems: readonly Problem[]
}

/** Start, restart or reload: what the server needs after its files were written. */
export function effectSteps(
  found: MemberFound,
  configuration: Pick<ConfigurationPlan, 'effect' | 'reason'>,
): readonly Step[] {
  const { name } = found
  if (found.running === undefined) {
    const { state } = found.directory.control
    const reason = state.startsWith('shut down') ? 'it is stopped' : `it died ("${state}")`
    return [step(name, { action: 'start' }, { title: 'start PostgreSQL', reason })]
  }
  const { effect, reason } = configuration
  if (effect === 'none') return []
  const title = effect === 'restart' ? 'restart PostgreSQL' : 'reload the configuration'
  const because = reason === '' ? 'so that the new configuration is in force' : reason
  return [step(name, { action: effect }, { title, reason: because, effect })]
}

/** Directories that have to be there before a start. */
export function directorySteps(found: ServerFound): readonly Step[] {
  return found.files.missingDirectories.map((path) =>
    step(
      found.name,
      { action: 'directory', path },
      { title: `make directory ${path}`, reason: 'it is missing', diff: [added(path)] },
    ),
  )
}

/** The password file of the OS user, when it is not as it should be. */
export function passfileSteps(server: ServerWanted, found: ServerFound): readonly Step[] {
  const { passfile } = found.files
  return passfile === 'ours' ? [] : [passfileStep(server, passfile)]
}

/** Writes the password file. */
export function passfileStep(server: ServerWanted, state: 'missing' | 'different'): Step {
  const path = passfilePathOf(server.directory)
  return step(
    server.name,
    { action: 'passfile', path },
    {
      title: `write password file ${path}`,
      reason: state === 'missing' ? 'it is missing' : 'it holds other passwords',
      diff: [added(`${path} (mode 600)`)],
    },
  )
}

/** A failed login is a problem only when no step of the plan could cure it. */
export function sqlProblems(
  found: MemberFound,
  configuration: Pick<ConfigurationPlan, 'effect'>,
): readonly Problem[] {
  if (found.running === undefined || found.sqlError === undefined) return []
  const isCurable = found.sqlError.code !== 'POSTGRES_AUTH' && configuration.effect !== 'none'
  return isCurable ? [] : [problemOf(found.name, silenceOf(found, found.sqlError))]
}

function silenceOf({ name, tightDisk }: MemberFound, error: FoundError): FoundError {
  if (tightDisk === undefined) return error
  const message = `Server "${name}" has no room for WAL, ${describeTightDisk(tightDisk)}: ${error.message}`
  return { code: 'DISK_SPACE', message, hint: roomRemedy(tightDisk) }
}
