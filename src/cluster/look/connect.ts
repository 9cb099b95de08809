/**
 * How Backstay reaches a server as superuser and as one of its roles. Servers on other machines are
 * reached through ssh (`ClusterContext.reach`, `reachAddress`), so that nothing but ssh has to be
 * open towards the operator's machine.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { ErrorCode } from '../../errors/codes.ts'
import type { PathInfo } from '../../host/host.ts'
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import { describeServer, socketPath } from '../../wire/server-address.ts'
import { SqlClient, type SqlOptions } from '../../wire/sql-client.ts'
import type { ClusterContext, Listening } from '../context.ts'
import { protectionOf } from '../protection.ts'
import type { ServerWanted } from '../wanted.ts'

/** Bounds all ways of logging in together. */
const CONNECT_TIMEOUT_MS = 5000
/** With less left another way is not tried. */
const LEAST_TIMEOUT_MS = 250
const OTHERS_WRITE = 0o002
const STICKY = 0o1000

/** Where to connect to. */
type ConnectAddress = Pick<ConnectionOptions, 'host' | 'port' | 'ownSocket'>

/** What a superuser's session may be given. */
export interface SuperuserOptions extends Pick<SqlOptions, 'statementTimeoutMs'> {
  /** What runs, when that is known; otherwise what is wanted. */
  readonly listening?: Listening | undefined
}

/** The server answered and does not let this session in. */
const REFUSALS: readonly ErrorCode[] = ['POSTGRES_HBA', 'POSTGRES_AUTH', 'POSTGRES_TLS']
/** Nobody answers this way. */
const SILENCES: readonly ErrorCode[] = ['POSTGRES_UNREACHABLE', 'POSTGRES_CONNECTION_LOST']

/**
 * Logs in as superuser in whichever way the server allows: its Unix socket may take nobody but the
 * OS user of that name (peer), its address may be refused or not be listened on. Connects as
 * `SqlClient.connect` does.
 * @throws what it refused with, if it did; otherwise the last failure.
 */
export async function openSuperuserSql(
  context: ClusterContext,
  server: ServerWanted,
  { listening, ...options }: SuperuserOptions = {},
): Promise<SqlClient> {
  const endsAtMs = context.clock.monotonic() + CONNECT_TIMEOUT_MS
  let refusal: BackstayError | undefined
  let silence: BackstayError | undefined
  for (const way of await superuserWays(context, server, listening)) {
    const connectTimeoutMs = Math.ceil(endsAtMs - context.clock.monotonic())
    if ((refusal ?? silence) !== undefined && connectTimeoutMs < LEAST_TIMEOUT_MS) break
    try {
      const address = await way(refusal !== undefined)
      if (address === undefined) continue
      const user = context.wanted.postgres.superuser
      const all = {
        ...common(context, address.host),
        ...labelOf(server),
        ...options,
        ...address,
        user,
      }
      return await SqlClient.connect({ ...all, connectTimeoutMs })
    } catch (error) {
      if (!(error instanceof BackstayError)) throw error
      if (REFUSALS.includes(error.code)) refusal ??= error
      else if (SILENCES.includes(error.code)) silence = error
      else throw error
    }
  }
  throw refusal ?? silence ?? notListening(server)
}

/** Gives an address, or nothing when this is no way to go. */
type WayIn = (wasRefused: boolean) => Promise<ConnectAddress | undefined>

async function superuserWays(
  context: ClusterContext,
  server: ServerWanted,
  listening: Listening | undefined,
): Promise<readonly WayIn[]> {
  const port = listening?.port ?? server.port
  const socket: WayIn = async () => {
    await context.reach(server, listening)
    const host = context.socketDirectoryOf(server, listening)
    if (host === undefined) return undefined
    return { host, port, ownSocket: async () => ownSocket(context, server, listening ?? server) }
  }
  // Behind ssh the name is a socket's, and what answers is whoever has the port: it has to prove
  // itself.
  const address: WayIn = async () => ({
    ...(await context.reachAddress(server, port)),
    ownSocket: async () => undefined,
  })
  const { host, osUser } = await context.machineOf(server)
  const { superuser } = context.wanted.postgres
  // A refused login is a line in the server's log: the way that our own lines close to us comes
  // last.
  const isPeerOfOthers = osUser === superuser && host.user !== superuser
  const ways = isPeerOfOthers ? [address, socket] : [socket, address]
  if (server.host.local) return ways
  // Lines of the operator may want TLS, which the way through ssh does not have.
  const direct: WayIn = async (wasRefused) =>
    wasRefused ? { host: server.address, port } : undefined
  return [...ways, direct]
}

function notListening(server: ServerWanted): BackstayError {
  return new BackstayError(
    'POSTGRES_UNREACHABLE',
    `Cannot connect to server "${server.name}": it listens nowhere`,
  )
}

/** A role's way in: over TCP to a server on this machine, through ssh to the socket of another. */
export function roleConnection(
  context: ClusterContext,
  server: ServerWanted,
  role: string,
): ConnectionOptions {
  const socket = server.host.local ? undefined : context.socketDirectoryOf(server)
  const host = socket ?? server.address
  return {
    host,
    port: server.port,
    user: role,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    ...common(context, host),
    ...labelOf(server),
    ownSocket: async () => ownSocket(context, server, server),
  }
}

/**
 * The password of the replication role, for standard input of a process elsewhere.
 * @throws BUG when there is none yet
 */
export async function replicationPassword({ state, wanted }: ClusterContext): Promise<string> {
  const { role } = wanted.replication
  const password = (await state.readPasswords([role])).get(role)
  if (password !== undefined) return password
  throw new BackstayError('BUG', `Cannot clone as role "${role}": it has no password`)
}

/**
 * A connection that changes things: it never waits for a synchronous standby, which may be what is
 * being repaired, and never long for a lock.
 */
export async function openAdminSql(
  context: ClusterContext,
  server: ServerWanted,
  options: Pick<SqlOptions, 'statementTimeoutMs'> = {},
): Promise<SqlClient> {
  const sql = await openSuperuserSql(context, server, options)
  await sql.query("SET synchronous_commit = local; SET lock_timeout = '30s'")
  return sql
}

/** Here the near end of the way through ssh would be named, a socket in a temporary directory. */
function labelOf({ host, name, address, port }: ServerWanted): Pick<ConnectionOptions, 'label'> {
  return host.local ? {} : { label: `"${name}" (${describeServer({ host: address, port })})` }
}

function common(
  context: ClusterContext,
  host: string,
): Omit<ConnectionOptions, 'host' | 'port' | 'user'> {
  return {
    passfile: context.state.passfile,
    applicationName: 'backstay',
    signal: context.signal,
    ...protectionOf(context.wanted, host),
  }
}

/**
 * Names the socket on the server's machine when it is PostgreSQL's, in a directory in which nobody
 * else can exchange it: its lines may say peer or trust, and then only its owner vouches for it.
 */
async function ownSocket(
  context: ClusterContext,
  server: ServerWanted,
  { socketDirectory, port }: Listening,
): Promise<string | undefined> {
  if (socketDirectory === undefined) return undefined
  const { host, osUser } = await context.machineOf(server)
  const path = socketPath({ host: socketDirectory, port })
  const [found, directory] = await Promise.all([
    host.inspect(path),
    host.inspect(`${posix.dirname(path)}/.`),
  ])
  const owners = [osUser, 'root']
  if (found?.kind !== 'other' || !owners.includes(found.owner)) return undefined
  const isSafe = directory !== undefined && isSafeDirectory(directory, owners)
  return isSafe ? found.identity : undefined
}

/** Group aside, which is PostgreSQL's (Debian). */
function isSafeDirectory({ owner, mode }: PathInfo, owners: readonly string[]): boolean {
  return owners.includes(owner) && ((mode & OTHERS_WRITE) === 0 || (mode & STICKY) !== 0)
}
