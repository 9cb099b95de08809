/**
 * Starts, stops, restarts and reloads a server, and waits until that has happened.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import {
  reloadServer,
  restartServer,
  startServer,
  type StartOptions,
  stopServer,
} from '../../host/postgres-control.ts'
import { until } from '../../util/until.ts'
import type { SqlClient } from '../../wire/sql-client.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import type { FileErrorFound, HbaErrorFound } from '../../cluster/found-sql.ts'
import { openAdminSql } from '../../cluster/look/connect.ts'
import { FILE_ERRORS_QUERY, hbaErrorsQuery } from '../../cluster/look/sql-queries.ts'
import { startLogPathOf } from '../../cluster/names.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { type Act, instanceOf, serverOfStep } from './act-context.ts'

/** Recovery after a crash, or a shutdown checkpoint, of a large cluster takes minutes. */
const CONTROL_TIMEOUT_MS = 30 * 60_000
const RELOAD_TIMEOUT_MS = 10_000

/** Starts the server and waits until it takes connections. */
export const startStep: Act<'start'> = async (context, step) => {
  const server = serverOfStep(context, step)
  await startServer(await instanceOf(context, server), startOptions(context, server))
}

/** Stops (fast) and starts. */
export const restartStep: Act<'restart'> = async (context, step) => {
  const server = serverOfStep(context, step)
  await restartServer(await instanceOf(context, server), startOptions(context, server))
}

function startOptions({ wanted, signal }: ClusterContext, server: ServerWanted): StartOptions {
  const { segmentBytes } = wanted.postgres
  const logFile = startLogPathOf(server.directory)
  return { logFile, segmentBytes, timeoutMs: CONTROL_TIMEOUT_MS, signal }
}

/** Stops the server (fast) and waits until it is down. */
export const stopStep: Act<'stop'> = async (context, step) => {
  const instance = await instanceOf(context, serverOfStep(context, step))
  await stopServer(instance, { timeoutMs: CONTROL_TIMEOUT_MS, signal: context.signal })
}

/**
 * Reloads, and waits until new sessions see that the files were read.
 * @throws CONFIG_INVALID when PostgreSQL could not take all of them over; TIMEOUT
 */
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
  if (isRead === true) {
    await checkTaken(context, server)
    return
  }
  throw new BackstayError(
    'TIMEOUT',
    `Server "${server.name}" did not read its configuration within ${RELOAD_TIMEOUT_MS / 1000} s after a reload`,
    { hint: 'See its log: PostgreSQL keeps the old configuration when a file has an error.' },
  )
}

/**
 * PostgreSQL reads what it can and goes on with the old lines of a file that has an error: nothing
 * else tells.
 */
async function checkTaken(context: ClusterContext, server: ServerWanted): Promise<void> {
  await using sql = await openAdminSql(context, server)
  const lines = await sql.query<FileErrorFound>(FILE_ERRORS_QUERY)
  const waiting = await sql.query<{ name: string }>(
    'SELECT name FROM pg_settings WHERE pending_restart',
  )
  const files = lines.filter((line) => !waiting.some(({ name }) => name === line.name))
  const hba = await sql.query<HbaErrorFound>(hbaErrorsQuery(sql.major))
  const [first] = [...hba, ...files]
  if (first === undefined) return
  throw new BackstayError(
    'CONFIG_INVALID',
    `Server "${server.name}" was reloaded, and refuses line ${first.line} of ${first.file}: ${first.error}`,
    { hint: 'Correct that line, then run backstay up: what the line says is not in force.' },
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
