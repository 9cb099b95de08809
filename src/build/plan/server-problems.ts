/**
 * What makes it impossible to work with one server at all, judged before anything is planned for
 * it. Pure.
 */
import type { BinariesFound, ClusterFound, FoundError, ServerFound } from '../../cluster/found.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'
import { isMember } from '../../cluster/leader.ts'
import { blocker, type Problem, problemOf, warning } from '../../cluster/problem.ts'

const MODES = [0o700, 0o750]

/** Problems of a reachable server: programs, directory, owner, port. */
export function serverProblems(
  wanted: ClusterWanted,
  found: ClusterFound,
  server: ServerFound,
): readonly Problem[] {
  const wish = wantedServer(wanted, server.name)
  return [
    ...(isHopeless(server) ? [problemOf(server.name, server.binaries)] : []),
    ...machineProblems(wanted, found, server),
    ...directoryProblems(wanted, found, server),
    ...adoptedProblems(wish, server),
    ...portProblems(wish, server),
    ...strayProblems(server),
  ]
}

/** Whether the programs are missing and nothing can install them. */
export function isHopeless(
  server: ServerFound,
): server is ServerFound & { readonly binaries: FoundError } {
  return isError(server.binaries) && server.packageManager === undefined
}

/**
 * Whether nothing lies where an adopted server says its data is: then nothing says that it may be
 * made there either.
 */
export function isOnlyItsWord(wish: ServerWanted, { directory }: ServerFound): boolean {
  return wish.isAdopted === true && (directory.state === 'missing' || directory.state === 'empty')
}

function adoptedProblems(wish: ServerWanted, server: ServerFound): readonly Problem[] {
  if (!isOnlyItsWord(wish, server)) return []
  const { name, directory: path } = wish
  const found = server.directory.state === 'missing' ? 'nothing is there' : 'it is empty'
  return [
    warning(name, {
      code: 'DIRECTORY_FOREIGN',
      message: `Will not make the data of server "${name}" in "${path}": when it was adopted it said that its data lies there, and ${found}`,
      hint: `Correct servers.${name}.directory in the cluster file. If its disk was lost: backstay reclone ${name}.`,
    }),
  ]
}

/** Files that only the server speaks of: written to, they could be anything that root may write. */
function strayProblems({ name, files }: ServerFound): readonly Problem[] {
  return (files.strays ?? []).map(({ key, path }) =>
    blocker(name, {
      code: 'DRIFT',
      message: `Cannot use "${path}", where server "${name}" says its ${key === 'configFile' ? 'configuration' : 'pg_hba.conf'} is: the cluster file does not name it`,
      hint: `If that is right, say so in the cluster file: servers.${name}.${key}: ${path}`,
    }),
  )
}

/** Two names for one machine: what looks like two servers would be one in one place. */
function machineProblems(
  wanted: ClusterWanted,
  found: ClusterFound,
  server: ServerFound,
): readonly Problem[] {
  if (server.machineId === undefined) return []
  const index = found.servers.indexOf(server)
  const wish = wantedServer(wanted, server.name)
  const twin = wanted.servers.slice(0, index).find((other, at) => {
    const isSame = found.servers[at]?.machineId === server.machineId
    const isPlaced = other.port === wish.port || other.directory === wish.directory
    return isSame && isPlaced && other.host.address !== wish.host.address
  })
  if (twin === undefined) return []
  return [
    blocker(server.name, {
      code: 'DIRECTORY_FOREIGN',
      message: `Cannot use host "${wish.host.address}" for server "${server.name}": it is the machine of server "${twin.name}" ("${twin.host.address}") by another name`,
      hint: 'Correct servers.<name>.host in the cluster file; on one machine every server needs its own port and directory.',
    }),
  ]
}

/** Whether a look ended in a failure instead of a fact. */
export function isError(result: BinariesFound | FoundError): result is FoundError {
  return 'code' in result
}

function directoryProblems(
  wanted: ClusterWanted,
  found: ClusterFound,
  server: ServerFound,
): readonly Problem[] {
  const { directory, name } = server
  const path = wanted.servers.find((candidate) => candidate.name === name)?.directory ?? ''
  if (directory.state === 'foreign') {
    return [
      blocker(name, {
        code: 'DIRECTORY_FOREIGN',
        message: `Cannot use directory "${path}" for server "${name}": ${directory.content}`,
      }),
    ]
  }
  if (directory.state !== 'empty' && directory.state !== 'data') return []
  return [
    ...identityProblems(wanted, found, server),
    ...ownerProblems(server, { path, ...directory }),
  ]
}

function identityProblems(
  wanted: ClusterWanted,
  found: ClusterFound,
  server: ServerFound,
): readonly Problem[] {
  const { directory, name } = server
  if (directory.state !== 'data') return []
  if (directory.major !== wanted.postgres.version) {
    return [
      blocker(name, {
        code: 'POSTGRES_VERSION',
        message: `Cannot use the data directory of server "${name}": it is of PostgreSQL ${directory.major}, the cluster file says ${wanted.postgres.version}`,
        hint: 'Set postgres.version in the cluster file, or name another directory.',
      }),
    ]
  }
  if (isMember(found, server)) return []
  const theirs = directory.control.systemIdentifier
  if (found.identity === undefined) {
    return [
      blocker(name, {
        code: 'DIRECTORY_FOREIGN',
        message: `Cannot use the data directory of server "${name}": it holds a PostgreSQL cluster (system identifier ${theirs}) that Backstay did not build`,
        hint: `Name another directory, or take the cluster over with backstay adopt. If Backstay built it from another machine, or its state directory "${wanted.stateDirectory}" is lost: backstay join.`,
      }),
    ]
  }
  return [
    blocker(name, {
      code: 'POSTGRES_IDENTITY',
      message: `Cannot use the data directory of server "${name}": its system identifier is ${theirs}, that of cluster "${wanted.name}" is ${found.identity.systemIdentifier}`,
      hint: `Name another directory. If its content may go: backstay reclone ${name}.`,
    }),
  ]
}

function ownerProblems(
  server: ServerFound,
  directory: { readonly path: string; readonly owner: string; readonly mode: number },
): readonly Problem[] {
  const { path, owner, mode } = directory
  if (owner !== server.osUser) {
    return [
      blocker(server.name, {
        code: 'DIRECTORY_OWNER',
        message: `Cannot use directory "${path}" of server "${server.name}": it belongs to "${owner}", PostgreSQL runs as "${server.osUser}"`,
        hint: `Run: chown -R ${server.osUser} ${path}; or name that user in postgres.osUser.`,
      }),
    ]
  }
  if (server.directory.state !== 'data' || MODES.includes(mode)) return []
  return [
    blocker(server.name, {
      code: 'DIRECTORY_OWNER',
      message: `Cannot use directory "${path}" of server "${server.name}": its mode is ${mode.toString(8)}, PostgreSQL starts only with 700 or 750`,
      hint: `Run: chmod 700 ${path}`,
    }),
  ]
}

function portProblems(wish: ServerWanted, server: ServerFound): readonly Problem[] {
  if (server.portTakenBy === undefined) return []
  return [
    blocker(server.name, {
      code: 'PORT_IN_USE',
      message: `Cannot use port ${wish.port} for server "${server.name}": ${server.portTakenBy} listens on it`,
      hint: 'Stop that process, or choose another port in the cluster file.',
    }),
  ]
}
