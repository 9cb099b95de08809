/**
 * Starts, stops, restarts and reloads a server, and waits until that has happened.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import {
  reloadServer,
  restartServer,
  startServer,
  stopServer,
} from '../../host/postgres-control.ts'
import { until } from '../../util/until.ts'
import type { SqlClient } from '../../wire/sql-client.ts'
import type { ClusterContext } from '../context.ts'
import { openAdminSql } from '../look/connect.ts'
import { startLogPathOf } from '../names.ts'
import type { ServerWanted } from '../wanted.ts'
import { type Act, instanceOf, serverOfStep } from './act-context.ts'

/** Recovery after a crash, or a shutdown checkpoint, of a large cluster takes minutes. */
const CONTROL_TIMEOUT_MS = 30 * 60_000
const RELOAD_TIMEOUT_MS = 10_000

/** Starts the server and waits until it takes connections. */
export const startStep: Act<'start'> = async (context, step) => {
  const server = serverOfStep(context, step)
  const { signal } = context
  const logFile = startLogPathOf(server.directory)
  const instance = await instanceOf(context, server)
  await startServer(instance, { logFile, timeoutMs: CONTROL_TIMEOUT_MS, signal })
}

/** Stops (fast) and starts. */
export const restartStep: Act<'restart'> = async (context, step) => {
  const server = serverOfStep(context, step)
  const { signal } = context
  const logFile = startLogPathOf(server.directory)
  const instance = await instanceOf(context, server)
  await restartServer(instance, { logFile, timeoutMs: CONTROL_TIMEOUT_MS, signal })
}

/** Stops (fast). */
export const stopStep: Act<'stop'> = async (context, step) => {
  const instance = await instanceOf(context, serverOfStep(context, step))
  await stopServer(instance, { timeoutMs: CONTROL_TIMEOUT_MS, signal: context.signal })
}

/** Reloads, and waits until new sessions see that the files were read. */
export const reloadStep: Act<'reload'> = async (context, step) => {
  const server = serverOfStep(context, step)
  const before = await configLoadedAt(context, server)
  await reloadServer(await instanceOf(context, server))
  const { clock, signal } = context
  const isRead = await until(
    async () => {
      const now = await configLoadedAt(context, server)
      return now !== undefined && now !== before
    },
    { clock, signal, timeoutMs: RELOAD_TIMEOUT_MS },
  )
  if (isRead === true) return
  throw new BackstayError(
    'TIMEOUT',
    `Server "${server.name}" did not read its configuration within ${RELOAD_TIMEOUT_MS / 1000} s after a reload`,
    { hint: 'See its log: PostgreSQL keeps the old configuration when a file has an error.' },
  )
}

/** Undefined while nobody can log in, which the reload may be meant to cure. */
async function configLoadedAt(
  context: ClusterContext,
  server: ServerWanted,
): Promise<string | undefined> {
  let sql: SqlClient
  try {
    sql = await openAdminSql(context, server)
  } catch {
    context.signal.throwIfAborted()
    return undefined
  }
  await using open = sql
  const { loadedAt } = await open.one<{ loadedAt: string }>(
    'SELECT pg_conf_load_time()::text AS "loadedAt"',
  )
  return loadedAt
}
