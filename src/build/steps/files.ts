/**
 * Writes configuration files. What PostgreSQL refuses is taken back, so that a bad line never lies
 * in wait for a restart.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import { findPostmaster } from '../../host/postmaster.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import type { HbaErrorFound } from '../../cluster/found-sql.ts'
import { openAdminSql } from '../../cluster/look/connect.ts'
import { hbaErrorsQuery } from '../../cluster/look/sql-queries.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { type Act, instanceOf, machineOfStep, serverOfStep, type StepOf } from './act-context.ts'
import { checkConfiguration } from './check-configuration.ts'

/** The archive is the OS user's alone; everybody has to reach the Unix socket. */
const ARCHIVE_MODE = 0o700
const SOCKET_MODE = 0o755

/** Makes a directory the server needs. */
export const makeServerDirectory: Act<'directory'> = async (context, step) => {
  const server = serverOfStep(context, step)
  const { host, osUser } = await context.machineOf(server)
  // Installing PostgreSQL may have made it since the plan, in its own way.
  if ((await host.list(step.path)) !== undefined) return
  const mode = step.path === server.socketDirectory ? SOCKET_MODE : ARCHIVE_MODE
  await host.makeDirectory(step.path, { mode, owner: osUser })
}

/** Writes one of our files, or our part of the operator's. */
export const writeConfigurationFile: Act<'file'> = async (context, step) => {
  const { host, osUser } = await machineOfStep(context, step)
  const isNew = (await host.inspect(step.path)) === undefined
  const ownership = isNew ? { mode: 0o600, owner: osUser } : {}
  await host.writeFile(step.path, step.content, ownership)
  try {
    await judge(context, step)
  } catch (error) {
    await putBack(host, step)
    throw error
  }
}

/** Makes a server start as a standby. */
export const writeSignalFile: Act<'signal-file'> = async (context, step) => {
  const { host, osUser } = await machineOfStep(context, step)
  await host.writeFile(step.path, '', { mode: 0o600, owner: osUser })
}

/** Removes a mark, or a directory that was set aside. */
export const removeMark: Act<'remove-mark'> = async (context, step) => {
  const { host } = await machineOfStep(context, step)
  await host.remove(step.path)
}

/** Forgets a finished initdb. */
export const removeNote: Act<'remove-note'> = async ({ state }, step) => {
  await state.removeInitdbNote(step.server ?? '')
}

async function judge(context: ClusterContext, step: StepOf<'file'>): Promise<void> {
  const server = serverOfStep(context, step)
  if (step.file === 'settings' || step.file === 'include') {
    await checkConfiguration(await instanceOf(context, server))
  }
  if (step.file === 'hba') await checkHba(context, server)
}

/** A running server reads pg_hba.conf anew for this view. One that cannot be asked is not asked. */
async function checkHba(context: ClusterContext, server: ServerWanted): Promise<void> {
  const { host } = await context.machineOf(server)
  if ((await findPostmaster(host, server.directory)) === undefined) return
  const sql = await openAdminSql(context, server).catch(() => undefined)
  if (sql === undefined) return
  await using open = sql
  const [first] = await open.query<HbaErrorFound>(hbaErrorsQuery(open.major))
  if (first === undefined) return
  throw new BackstayError(
    'CONFIG_INVALID',
    `PostgreSQL refuses line ${first.line} of ${first.file} of server "${server.name}": ${first.error}`,
    { hint: 'Correct postgres.access in the cluster file, or that line of the file.' },
  )
}

async function putBack(host: Host, step: StepOf<'file'>): Promise<void> {
  await (step.fallback === undefined
    ? host.remove(step.path)
    : host.writeFile(step.path, step.fallback))
}
