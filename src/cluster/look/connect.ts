/**
 * How Backstay reaches a server: as superuser through the Unix socket on its own machine, over TCP elsewhere.
 */
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import { SqlClient } from '../../wire/sql-client.ts'
import type { ClusterContext } from '../context.ts'
import type { RunningFound } from '../found.ts'
import type { ServerWanted } from '../wanted.ts'

const CONNECT_TIMEOUT_MS = 5000

/** Where a server listens; what runs may differ from what is wanted. */
export type Listening = Pick<RunningFound, 'port' | 'socketDirectory'>

/** The superuser's way in. */
export function adminConnection(
  context: ClusterContext,
  server: ServerWanted,
  listening?: Listening,
): ConnectionOptions {
  const socket = listening?.socketDirectory ?? server.socketDirectory
  return {
    host: server.host.local ? socket : server.address,
    port: listening?.port ?? server.port,
    user: context.wanted.postgres.superuser,
    ...common(context),
  }
}

/** A role's way in over TCP, as standbys and the backup server come. */
export function roleConnection(
  context: ClusterContext,
  server: ServerWanted,
  role: string,
): ConnectionOptions {
  return { host: server.address, port: server.port, user: role, ...common(context) }
}

/**
 * A connection that changes things: it never waits for a synchronous standby, which may be what is being repaired, and
 * never long for a lock.
 */
export async function openAdminSql(
  context: ClusterContext,
  server: ServerWanted,
): Promise<SqlClient> {
  const sql = await SqlClient.connect(adminConnection(context, server))
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
