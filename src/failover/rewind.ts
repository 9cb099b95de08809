/**
 * Winds a server back to where it left the primary's line, with PostgreSQL's own pg_rewind.
 * Meanwhile the directory has another name: nothing can start a server in it that is half the one
 * and half the other.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { HostCommandResult } from '../host/host.ts'
import { liftFence } from '../host/boot-guard.ts'
import { commandError } from '../host/run-checked.ts'
import { formatConninfo } from '../postgres/conninfo.ts'
import type { ControlFile, ControlParameters } from '../postgres/control-file.ts'
import { startOptions } from '../postgres/session-settings.ts'
import { quoteName } from '../wire/replication-command.ts'
import { takeStep } from '../build/apply.ts'
import { writeStandbyFiles } from '../build/clone/standby-files.ts'
import { type ClusterContext, factOf } from '../cluster/context.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import { passfileText } from '../cluster/look/look-files.ts'
import { passfilePathOf } from '../cluster/names.ts'
import { protectionWords } from '../cluster/protection.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { fenceTorn } from './torn-fence.ts'
import { repositoryReader } from './wal-readers.ts'
import { signalFilePath } from '../cluster/file-paths.ts'

const REWIND_TIMEOUT_MS = 24 * 3_600_000
/** pg_rewind --config-file came with it. */
const CONFIG_FILE_MAJOR = 15
/** Each missing segment is one more try. */
const TRIES_MAX = 256
/** Up to 13 `could not connect to server`, then libpq's own words. */
const NO_CONNECTION = /could not connect to server|connection to server .{0,300}? failed/
const MISSING_SEGMENT = /could not open file "[^"]*\/([0-9A-F]{24})"/

/**
 * What pg_rewind calls on a running source. Source: PostgreSQL documentation, pg_rewind, "Notes".
 */
const READING_FUNCTIONS = [
  'pg_ls_dir(text, boolean, boolean)',
  'pg_stat_file(text, boolean)',
  'pg_read_binary_file(text)',
  'pg_read_binary_file(text, bigint, bigint, boolean)',
] as const

/** What is wound back, and to whose line. */
export interface Rewind {
  readonly server: ServerWanted
  readonly primary: ServerWanted
  /** What the primary runs with: the standby may not have less. */
  readonly limits: ControlParameters
  /** Called, and waited for, right before the directory is overwritten. */
  readonly onBegin: () => Promise<void>
}

/** Where the directory is while it is rewound. */
function rewindPathOf(server: ServerWanted): string {
  return `${server.directory}.rejoin`
}

/**
 * Why pg_rewind cannot do it; undefined when it can. Looked at before anything is stopped or moved.
 */
export async function rewindObstacle(
  context: ClusterContext,
  server: ServerWanted,
  control: ControlFile,
): Promise<string | undefined> {
  const { directory, tools } = await context.binariesOf(server)
  if (tools.pgRewind === undefined) return `there is no pg_rewind in ${directory}`
  const isTracked = control.dataChecksumVersion > 0 || control.parameters.walLogHints
  return isTracked ? undefined : 'it has neither checksums nor wal_log_hints'
}

/**
 * Rewinds a server that was shut down in order. When it returns the directory is in its place, a
 * standby of the primary.
 * @throws POSTGRES_UNREACHABLE when pg_rewind cannot log in, HOST_COMMAND with what else it said.
 * What fails before `onBegin` leaves the directory in its place as it was; afterwards it keeps its
 * other name and a fence, fit only to be kept and cloned anew.
 */
export async function rewindServer(context: ClusterContext, rewind: Rewind): Promise<void> {
  const { server } = rewind
  const { host } = await context.machineOf(server)
  const work = rewindPathOf(server)
  const told = { id: `${server.name}.rewind`, server: server.name, title: 'rewind (pg_rewind)' }
  await takeStep(context, told, async () => {
    await host.rename(server.directory, work)
    await withGrants(context, rewind.primary, async () => runRewind(context, rewind))
    await context.crashPoint('rewind.done')
    await configure(context, rewind)
    await liftFence({ host, directory: server.directory })
    await host.rename(work, server.directory)
  })
}

/** Whether a rewind of the server began and did not end. */
export async function isBeingRewound(
  context: ClusterContext,
  server: ServerWanted,
): Promise<boolean> {
  const { host } = await context.machineOf(server)
  const isAway = (await host.inspect(rewindPathOf(server))) !== undefined
  return isAway && (await host.inspect(server.directory)) === undefined
}

/** Gives such a directory its name back, so marked that it cannot start as a primary. */
export async function putBack(context: ClusterContext, server: ServerWanted): Promise<void> {
  if (!(await isBeingRewound(context, server))) return
  const { host, osUser } = await context.machineOf(server)
  const work = rewindPathOf(server)
  const signal = signalFilePath(context.wanted, { ...server, directory: work })
  const name = signal ?? posix.join(work, 'recovery.conf')
  const content = signal === undefined ? "standby_mode = 'on'\n" : ''
  await host.writeFile(name, content, { mode: 0o600, owner: osUser })
  await host.rename(work, server.directory)
}

async function runRewind(context: ClusterContext, rewind: Rewind): Promise<void> {
  const passfile = await writePassfile(context, rewind.server)
  try {
    await rehearse(context, rewind, passfile)
  } catch (error) {
    await putBack(context, rewind.server)
    throw error
  }
  await fenceTorn(context, rewind.server)
  await rewind.onBegin()
  const result = await pgRewind(context, rewind, { passfile, dryRun: false })
  if (result.exitCode !== 0) throw await failure(context, rewind, result)
}

/**
 * Without writing, until it finds all the WAL it needs; what it misses is taken from the backup
 * server.
 */
async function rehearse(context: ClusterContext, rewind: Rewind, passfile: string): Promise<void> {
  // An earlier release put one of its own there, which a run that died left.
  const { host } = await context.machineOf(rewind.server)
  await host.remove(`${rewind.server.directory}.rewind.pgpass`)
  for (let attempt = 1; ; attempt += 1) {
    const result = await pgRewind(context, rewind, { passfile, dryRun: true })
    if (result.exitCode === 0) return
    const missing = MISSING_SEGMENT.exec(`${result.stderr}${result.stdout}`)?.[1]
    const isFetched =
      missing !== undefined && attempt < TRIES_MAX && (await fetchSegment(context, rewind, missing))
    if (!isFetched) throw await failure(context, rewind, result)
  }
}

async function pgRewind(
  context: ClusterContext,
  { server, primary }: Rewind,
  run: { readonly passfile: string; readonly dryRun: boolean },
): Promise<HostCommandResult> {
  const { host, osUser: user } = await context.machineOf(server)
  const { directory } = await context.binariesOf(server)
  const source = formatConninfo({
    host: primary.address,
    port: primary.port,
    user: context.wanted.replication.role,
    dbname: 'postgres',
    passfile: run.passfile,
    connect_timeout: 10,
    options: startOptions(),
    ...protectionWords(context.wanted),
  })
  // Where it has to start PostgreSQL on the directory, there has to be a configuration; up to 14 it
  // cannot be told of another one.
  const config =
    server.configFile === undefined || context.wanted.postgres.version < CONFIG_FILE_MAJOR
      ? []
      : [`--config-file=${server.configFile}`]
  const words = ['-D', rewindPathOf(server), `--source-server=${source}`, ...config]
  const command = [posix.join(directory, 'pg_rewind'), ...words, ...(run.dryRun ? ['-n'] : [])]
  const { signal } = context
  return await host.run(command, { user, timeoutMs: REWIND_TIMEOUT_MS, signal })
}

async function failure(
  context: ClusterContext,
  { server, primary }: Rewind,
  result: HostCommandResult,
): Promise<BackstayError> {
  const { host } = await context.machineOf(server)
  const said = commandError(host.name, ['pg_rewind'], result)
  if (!NO_CONNECTION.test(`${result.stderr}${result.stdout}`)) return said
  const message = `Cannot rewind "${server.name}": pg_rewind cannot log in to "${primary.name}": ${said.message}`
  return new BackstayError('POSTGRES_UNREACHABLE', message, { hint: said.hint })
}

/** Whether the segment is there now. */
async function fetchSegment(
  context: ClusterContext,
  { server }: Rewind,
  name: string,
): Promise<boolean> {
  const { backup, postgres } = context.wanted
  const { host, osUser } = await context.machineOf(server)
  const path = posix.join(rewindPathOf(server), 'pg_wal', name)
  if (backup === undefined || (await host.inspect(path)) !== undefined) return false
  const reader = repositoryReader(context, backup, postgres.segmentBytes)
  // Without the backup server there is simply no more WAL.
  const content = await reader.readSegment(name).catch((error: unknown) => void factOf(error))
  if (content === undefined) return false
  await host.writeFile(path, content, { mode: 0o600, owner: osUser })
  return true
}

/**
 * pg_rewind reads the primary's files as the replication role, which may copy all of them anyway;
 * it may call the functions for that only while it does.
 */
async function withGrants(
  context: ClusterContext,
  primary: ServerWanted,
  work: () => Promise<void>,
): Promise<void> {
  const role = quoteName(context.wanted.replication.role)
  const missing = (await missingGrants(context, primary)).join(', ')
  if (missing === '') return work()
  const run = async (sql: string) => {
    await using admin = await openAdminSql(context, primary)
    await admin.query(sql)
  }
  await run(`GRANT EXECUTE ON FUNCTION ${missing} TO ${role}`)
  try {
    await work()
  } finally {
    // What stays behind lets it do what it may do over the replication protocol.
    await run(`REVOKE EXECUTE ON FUNCTION ${missing} FROM ${role}`).catch(factOf)
  }
}

async function missingGrants(
  context: ClusterContext,
  primary: ServerWanted,
): Promise<readonly string[]> {
  await using admin = await openAdminSql(context, primary)
  const rows = await admin.query<{ name: string }>(
    `SELECT name FROM unnest($1::text[]) AS name
      WHERE NOT has_function_privilege($2, name, 'EXECUTE')`,
    [
      READING_FUNCTIONS.map((signature) => `pg_catalog.${signature}`),
      context.wanted.replication.role,
    ],
  )
  return rows.map(({ name }) => name)
}

/**
 * The password file beside the directory, which the server's walreceiver reads and pg_rewind does
 * not touch: a run that dies leaves nothing that was not there.
 */
async function writePassfile(context: ClusterContext, server: ServerWanted): Promise<string> {
  const { role: user } = context.wanted.replication
  const password = (await context.state.readPasswords([user])).get(user)
  if (password === undefined) {
    throw new BackstayError('POSTGRES_AUTH', `Cannot rewind: no password of "${user}" is kept`)
  }
  const { host, osUser } = await context.machineOf(server)
  const path = passfilePathOf(server.directory)
  const content = passfileText(context.wanted, password)
  await host.writeFile(path, content, { mode: 0o600, owner: osUser })
  return path
}

/** pg_rewind has copied the primary's configuration over the standby's. */
async function configure(context: ClusterContext, rewind: Rewind): Promise<void> {
  const { server, primary, limits } = rewind
  const { host, osUser: owner } = await context.machineOf(server)
  await writeStandbyFiles(context.wanted, host, {
    server,
    primary,
    owner,
    parameters: limits,
    directory: rewindPathOf(server),
  })
}
