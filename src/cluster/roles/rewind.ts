/**
 * Winds a server back to where it left the primary's line, with PostgreSQL's own pg_rewind. Meanwhile the directory has
 * another name: nothing can start a server in it that is half the one and half the other.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { CommandResult } from '../../host/host.ts'
import { commandError } from '../../host/run-checked.ts'
import { formatConninfo } from '../../postgres/conninfo.ts'
import type { ControlFile, ControlParameters } from '../../postgres/control-file.ts'
import { formatPassfileLine } from '../../postgres/passfile.ts'
import { takeStep } from '../apply.ts'
import { writeStandbyFiles } from '../clone/standby-files.ts'
import { type ClusterContext, factOf } from '../context.ts'
import { signalFilePath } from '../plan/standby-settings.ts'
import type { ServerWanted } from '../wanted.ts'
import { repositoryReader } from './wal-sources.ts'

const REWIND_TIMEOUT_MS = 24 * 3_600_000
/** Each missing segment is one more try. */
const TRIES_MAX = 256
const MISSING_SEGMENT = /could not open file "[^"]*\/([0-9A-F]{24})"/

/** What is wound back, and to whose line. */
export interface Rewind {
  readonly server: ServerWanted
  readonly primary: ServerWanted
  /** What the primary runs with: the standby may not have less. */
  readonly limits: ControlParameters
}

/** Where the directory is while it is rewound. */
function rewindPathOf(server: ServerWanted): string {
  return `${server.directory}.rejoin`
}

/** Why pg_rewind cannot do it; undefined when it can. Looked at before anything is stopped or moved. */
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
 * Rewinds a server that was shut down in order. When it returns the directory is in its place, a standby of the primary.
 * @throws HOST_COMMAND with what pg_rewind said; the directory keeps its other name then, fit only to be kept and cloned anew.
 */
export async function rewindServer(context: ClusterContext, rewind: Rewind): Promise<void> {
  const { server } = rewind
  const { host } = await context.machineOf(server)
  const work = rewindPathOf(server)
  const told = { id: `${server.name}.rewind`, server: server.name, title: 'rewind (pg_rewind)' }
  await takeStep(context, told, async () => {
    await host.rename(server.directory, work)
    await runRewind(context, rewind)
    await context.crashPoint('rewind.done')
    await configure(context, rewind)
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

/** First without writing, until it finds all the WAL it needs; what it misses is taken from the backup server. */
async function runRewind(context: ClusterContext, rewind: Rewind): Promise<void> {
  await withPassfile(context, rewind.server, async (passfile) => {
    for (let attempt = 1; ; attempt += 1) {
      const result = await pgRewind(context, rewind, { passfile, dryRun: true })
      if (result.exitCode === 0) break
      const missing = MISSING_SEGMENT.exec(`${result.stderr}${result.stdout}`)?.[1]
      const isFetched =
        missing !== undefined &&
        attempt < TRIES_MAX &&
        (await fetchSegment(context, rewind, missing))
      if (!isFetched) throw await failure(context, rewind, result)
    }
    const result = await pgRewind(context, rewind, { passfile, dryRun: false })
    if (result.exitCode !== 0) throw await failure(context, rewind, result)
  })
}

async function pgRewind(
  context: ClusterContext,
  { server, primary }: Rewind,
  run: { readonly passfile: string; readonly dryRun: boolean },
): Promise<CommandResult> {
  const { host, osUser: user } = await context.machineOf(server)
  const { directory } = await context.binariesOf(server)
  const source = formatConninfo({
    host: primary.address,
    port: primary.port,
    user: context.wanted.postgres.superuser,
    dbname: 'postgres',
    passfile: run.passfile,
    connect_timeout: 10,
  })
  const words = ['-D', rewindPathOf(server), `--source-server=${source}`]
  const command = [posix.join(directory, 'pg_rewind'), ...words, ...(run.dryRun ? ['-n'] : [])]
  const { signal } = context
  return await host.run(command, { user, timeoutMs: REWIND_TIMEOUT_MS, signal })
}

async function failure(
  context: ClusterContext,
  { server }: Rewind,
  result: CommandResult,
): Promise<BackstayError> {
  const { host } = await context.machineOf(server)
  return commandError(host.name, ['pg_rewind'], result)
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
  const read = repositoryReader(context, backup, postgres.segmentBytes)
  // Without the backup server there is simply no more WAL.
  const content = await read(name).catch((error: unknown) => void factOf(error))
  if (content === undefined) return false
  await host.writeFile(path, content, { mode: 0o600, owner: osUser })
  return true
}

/** pg_rewind reads the primary's files as superuser; the password is in a file only while it does. */
async function withPassfile(
  context: ClusterContext,
  server: ServerWanted,
  work: (path: string) => Promise<void>,
): Promise<void> {
  const { superuser: user } = context.wanted.postgres
  const password = (await context.state.readPasswords([user])).get(user)
  if (password === undefined) {
    throw new BackstayError('POSTGRES_AUTH', `Cannot rewind: no password of "${user}" is kept`)
  }
  const { host, osUser } = await context.machineOf(server)
  const path = `${server.directory}.rewind.pgpass`
  const content = `${formatPassfileLine({ user, password })}\n`
  await host.writeFile(path, content, { mode: 0o600, owner: osUser })
  try {
    await work(path)
  } finally {
    await host.remove(path)
  }
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
