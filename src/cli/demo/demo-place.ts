/**
 * Where the demo lives: a directory and three ports that are free, reachable for the OS user
 * PostgreSQL runs as.
 */
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import { findDistrust } from '../../util/trusted-path.ts'

/**
 * Where root's demo goes when the working directory is closed to the user PostgreSQL runs as, or is
 * not root's alone.
 */
const ROOTS_DIRECTORY = '/var/lib/backstay-demo'
const NAME = 'backstay-demo'

const FIRST_PORT = 25432
const LAST_PORT = 25992
/** Primary, standby, and the restored copy. */
const PORTS_NEEDED = 3

/** The longest directory in which a Unix socket's path still fits into 107 bytes. */
const SOCKET_DIRECTORY_MAX = 90

/** What decides the directory. */
export interface DirectoryWish {
  /** What --directory says. */
  readonly given: string | undefined
  readonly workingDirectory: string
  /**
   * Where the user keeps data of programs ($XDG_DATA_HOME, ~/.local/share); undefined without a
   * home.
   */
  readonly dataHome: string | undefined
  /** Whose files are obeyed. */
  readonly trusted: ReadonlySet<number>
  /** OS user that runs PostgreSQL. */
  readonly osUser: string
}

/**
 * The demo's directory: the one given, else `backstay-demo` here, else (when the OS user cannot get
 * there, or others could write there what the demo would then do) one of the user's own.
 * @throws HOST_PRIVILEGE when the one given is closed to the OS user.
 */
export async function demoDirectory(host: Host, wish: DirectoryWish): Promise<string> {
  const { given, workingDirectory, osUser, trusted } = wish
  const wanted = resolve(workingDirectory, given ?? NAME)
  const isOpen = await canReach(host, dirname(wanted), osUser)
  if (given === undefined) {
    const found = findDistrust(wanted, trusted)
    // What is missing is claimed when it is made.
    const isOwn = found === undefined || found.isMissing === true
    return isOpen && isOwn ? wanted : ownDirectory(host, wish)
  }
  if (isOpen) return wanted
  throw new BackstayError(
    'HOST_PRIVILEGE',
    `Cannot use "${wanted}" for the demo: OS user "${osUser}", who runs PostgreSQL, cannot get there`,
    { hint: `Choose another --directory, such as ${ownDirectory(host, wish)}.` },
  )
}

function ownDirectory(host: Host, { dataHome, workingDirectory }: DirectoryWish): string {
  if (host.user === 'root') return ROOTS_DIRECTORY
  return join(dataHome ?? workingDirectory, NAME)
}

async function canReach(host: Host, directory: string, user: string): Promise<boolean> {
  if (user === host.user) return true
  return (await host.run(['test', '-x', directory], { user })).exitCode === 0
}

/** Where the servers' Unix sockets go: in the demo, unless that path is too long for a socket. */
export function demoSocketDirectory(directory: string): string {
  const own = join(directory, 'sockets')
  return own.length <= SOCKET_DIRECTORY_MAX ? own : '/tmp'
}

/**
 * The first of three neighbouring ports that are free, beginning with `given` (which must be free
 * then) or 25432.
 * @throws PORT_IN_USE
 */
export async function demoPort(given: number | undefined): Promise<number> {
  const last = given ?? LAST_PORT
  for (let port = given ?? FIRST_PORT; port <= last; port += 10) {
    const ports = Array.from({ length: PORTS_NEEDED }, (_, index) => port + index)
    const free = await Promise.all(ports.map(isFree))
    if (free.every(Boolean)) return port
  }
  const range = given === undefined ? `${FIRST_PORT} to ${LAST_PORT}` : `${given} to ${given + 2}`
  throw new BackstayError('PORT_IN_USE', `Cannot start the demo: ports ${range} are in use`, {
    hint: 'Name the first of three free ports with --port.',
  })
}

function isFree(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const probe = createServer()
    probe.once('error', () => answer(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => answer(true)))
  })
}
