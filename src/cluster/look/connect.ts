/**
 * How Backstay reaches a server: through its Unix socket, which of another machine comes here by ssh (`ClusterContext.reach`).
 * Roles of servers on this machine come over TCP, as standbys and the backup server do.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import { SqlClient, type SqlOptions } from '../../wire/sql-client.ts'
import type { ClusterContext, Listening } from '../context.ts'
import type { ServerWanted } from '../wanted.ts'

const CONNECT_TIMEOUT_MS = 5000

/** The superuser's way in. A server on another machine must have been reached, otherwise it is asked over TCP. */
export function adminConnection(
  context: ClusterContext,
  server: ServerWanted,
  listening?: Listening,
): ConnectionOptions {
  return {
    host: context.socketDirectoryOf(server, listening) ?? fallbackOf(server),
    port: listening?.port ?? server.port,
    user: context.wanted.postgres.superuser,
    ...common(context),
  }
}

function fallbackOf(server: ServerWanted): string {
  return server.host.local ? server.socketDirectory : server.address
}

/** A role's way in: over TCP to a server on this machine, through ssh to the socket of another. */
export function roleConnection(
  context: ClusterContext,
  server: ServerWanted,
  role: string,
): ConnectionOptions {
  const socket = server.host.local ? undefined : context.socketDirectoryOf(server)
  return { host: socket ?? server.address, port: server.port, user: role, ...common(context) }
}

/** The password of the replication role, for standard input of a process elsewhere. @throws BUG when there is none yet */
export async function replicationPassword({ state, wanted }: ClusterContext): Promise<string> {
  const { role } = wanted.replication
  const password = (await state.readPasswords([role])).get(role)
  if (password !== undefined) return password
  throw new BackstayError('BUG', `Cannot clone as role "${role}": it has no password`)
}

/**
 * A connection that changes things: it never waits for a synchronous standby, which may be what is being repaired, and
 * never long for a lock.
 */
export async function openAdminSql(
  context: ClusterContext,
  server: ServerWanted,
  options: Pick<SqlOptions, 'statementTimeoutMs'> = {},
): Promise<SqlClient> {
  await context.reach(server)
  const sql = await SqlClient.connect({ ...adminConnection(context, server), ...options })
  await sql.query("SET synchronous_commit = local; SET lock_timeout = '30s'")
  return sql
}

function common(
  context: ClusterContext,
): Pick<ConnectionOptions, 'passfile' | 'signal' | 'connectTimeoutMs' | 'applicationName'> {
  return {
    passfile: context.state.passfile,
    applicationName: 'backstay',
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    signal: context.signal,
  }
}
