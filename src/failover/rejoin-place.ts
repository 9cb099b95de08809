/**
 * Which server rejoins which primary, or why it must not. Pure.
 */
import type { ClusterFound, ServerFound } from '../cluster/found.ts'
import { isMember } from '../cluster/leader.ts'
import { blocker, errorOf, type ProblemText } from '../cluster/problem.ts'
import type { ControlParameters } from '../postgres/control-file.ts'
import type { ClusterWanted } from '../cluster/wanted.ts'
import { type AnsweringMember, isAnsweringMember } from './switch-plan.ts'

/** The server that comes back, and the primary it is going to follow. */
export interface RejoinPlace {
  readonly server: ServerFound
  readonly primary: AnsweringMember
}

/** What the primary runs with. */
export function limitsOf(primary: AnsweringMember): ControlParameters {
  return primary.directory.control.parameters
}

/**
 * Finds them. With two primaries running the one that is named gives way: whoever names it has
 * decided that.
 * @throws USAGE, PRIMARY_MISSING, SPLIT_BRAIN, DIRECTORY_FOREIGN, and why the server's host does
 * not answer.
 */
export function rejoinPlace(wanted: ClusterWanted, found: ClusterFound, name: string): RejoinPlace {
  const server = found.servers.find((candidate) => candidate.name === name)
  if (server === undefined) {
    const names = wanted.servers.map((each) => `"${each.name}"`).join(', ')
    throw refusal(undefined, {
      code: 'USAGE',
      message: `There is no server "${name}" in the cluster file: it names ${names}`,
    })
  }
  if (server.hostError !== undefined) throw refusal(name, server.hostError)
  const primary = primaryBeside(found, server)
  const { state } = server.directory
  if (state === 'foreign' || (state === 'data' && !isMember(found, server))) {
    throw refusal(name, {
      code: 'DIRECTORY_FOREIGN',
      message: `Cannot rejoin "${name}": what lies in its directory is not of cluster "${wanted.name}"`,
    })
  }
  return { server, primary }
}

function primaryBeside(found: ClusterFound, server: ServerFound): AnsweringMember {
  const primaries = found.servers
    .filter((other) => isMember(found, other))
    .filter(isAnsweringMember)
    .filter((other) => !other.sql.inRecovery)
  const others = primaries.filter(({ name }) => name !== server.name)
  const [primary, second] = others
  if (primary === undefined) {
    const isPrimary = primaries.length > 0
    throw refusal(server.name, {
      code: isPrimary ? 'SPLIT_BRAIN' : 'PRIMARY_MISSING',
      message: isPrimary
        ? `Will not rejoin "${server.name}": it is the primary, and there is no other`
        : `Cannot rejoin "${server.name}": no server answers as the primary`,
      hint: isPrimary
        ? 'To change roles: backstay switchover.'
        : 'Run backstay up, or backstay failover.',
    })
  }
  if (second !== undefined) {
    throw refusal(server.name, {
      code: 'SPLIT_BRAIN',
      message: `Cannot rejoin "${server.name}": "${primary.name}" and "${second.name}" are both primary`,
      hint: 'Rejoin one of those two first.',
    })
  }
  // The last primary in order goes on before a newer timeline: that may come from a promotion by
  // mistake.
  if (found.lastPrimary?.server === primary.name) return primary
  const isNewer =
    (server.sql?.inRecovery === false ? server.sql.timeline : 0) > primary.sql.timeline
  if (!isNewer) return primary
  throw refusal(server.name, {
    code: 'SPLIT_BRAIN',
    message: `Will not rejoin "${server.name}": it is primary too, on timeline ${server.sql?.timeline}, newer than that of "${primary.name}" (${primary.sql.timeline})`,
    hint: `To keep what "${server.name}" holds: backstay rejoin ${primary.name}. To give it up all the same, stop it first.`,
  })
}

function refusal(server: string | undefined, text: ProblemText): Error {
  return errorOf([blocker(server, text)])
}
