/**
 * Starting, stopping, reloading and promoting a server through pg_ctl, as the OS user it belongs to. Where systemd runs the
 * services it starts the server, and is told when it is stopped, so that it neither loses nor revives it.
 */
import { dirname } from 'node:path/posix'
import { BackstayError } from '../errors/backstay-error.ts'
import { formatDuration } from '../util/duration.ts'
import { readFence } from './boot-guard.ts'
import type { CommandResult } from './host.ts'
import type { PostgresInstance } from './postgres-instance.ts'
import { findPostmaster, type Postmaster } from './postmaster.ts'
import { commandError, runChecked } from './run-checked.ts'
import { logPosition, readLogAfter } from './server-log.ts'
import { shellCommand } from './shell-quote.ts'
import { startByService, stopService } from './postgres-service.ts'
import { fencedError, meetsLeftovers, startError } from './start-error.ts'

/** pg_ctl waits by itself; it is ended only when it hangs for this much longer. */
const GRACE_MS = 15_000
/** After a crash, the dead postmaster's children or its own unreaped entry may be there for a moment. */
const LEFTOVER_TRIES = 30
/** What a shell does not take literally between double quotes. */
const DOUBLE_QUOTED = /[$`"\\]/g

/** How long to wait, and when to stop waiting. */
export interface WaitOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/** How a server is started. */
export interface StartOptions extends WaitOptions {
  /** Where the server's output goes; appended to, made when missing, owned by the OS user. */
  readonly logFile: string
  /** Options for postgres, for example `['-c', 'config_file=/etc/…']`. */
  readonly serverOptions?: readonly string[]
}

export const STOP_MODES = ['smart', 'fast', 'immediate'] as const

/** pg_ctl's words: smart waits for clients, fast ends them, immediate crashes the server. */
export type StopMode = (typeof STOP_MODES)[number]

/**
 * Starts the server and waits until it accepts connections (or is a standby that never does). A running one is left as it is.
 * @throws PORT_IN_USE with who has it, TIMEOUT while it is still recovering, HOST_COMMAND with what its log says, SPLIT_BRAIN
 * when it is fenced.
 */
export async function startServer(
  instance: PostgresInstance,
  options: StartOptions,
): Promise<Postmaster> {
  const { host, directory } = instance
  const running = await findPostmaster(host, directory)
  if (running !== undefined) return running
  const fence = await readFence(instance)
  if (fence !== undefined) throw fencedError(instance, fence)
  await makeLogFile(instance, options.logFile)
  for (let attempt = 1; ; attempt++) {
    const position = await logPosition(host, options.logFile)
    const result = await startOnce(instance, options)
    const postmaster = await findPostmaster(host, directory)
    if (result.exitCode === 0 && postmaster !== undefined) return postmaster
    const log = await readLogAfter(instance, options.logFile, position)
    if (attempt < LEFTOVER_TRIES && postmaster === undefined && meetsLeftovers(log)) continue
    throw await startError(instance, { postmaster, result, log, timeoutMs: options.timeoutMs })
  }
}

/** systemd takes no options for one start only: with them pg_ctl starts the server, as everywhere else. */
async function startOnce(
  instance: PostgresInstance,
  options: StartOptions,
): Promise<CommandResult> {
  const { service } = instance
  if (service === undefined || options.serverOptions !== undefined) {
    return await pgCtl(instance, startArguments(options), options)
  }
  return await startByService(instance.host, service, options)
}

/** The OS user need not be allowed to make files where the log lies. */
async function makeLogFile({ host, user }: PostgresInstance, logFile: string): Promise<void> {
  const logDirectory = dirname(logFile)
  if ((await host.inspect(logDirectory)) === undefined) {
    await host.makeDirectory(logDirectory, { owner: user, mode: 0o700 })
  }
  if ((await host.inspect(logFile)) === undefined) {
    await host.writeFile(logFile, '', { owner: user, mode: 0o600 })
  }
}

/**
 * Stops the server and waits until it is gone; false when it did not run. Mode `immediate` only when asked for.
 * @throws TIMEOUT when it is still there after `timeoutMs`.
 */
export async function stopServer(
  instance: PostgresInstance,
  options: WaitOptions & { readonly mode?: StopMode },
): Promise<boolean> {
  const { host, directory, name, service } = instance
  if ((await findPostmaster(host, directory)) === undefined) {
    // It may have died a moment ago, and systemd be about to start it again.
    if (service !== undefined) await stopService(host, service)
    return false
  }
  const mode = options.mode ?? 'fast'
  const result = await pgCtl(instance, ['stop', '-m', mode, ...waiting(options)], options)
  if (result.exitCode === 0) {
    if (service !== undefined) await stopService(host, service)
    return true
  }
  const left = await findPostmaster(host, directory)
  if (left === undefined) return true
  if (left.state !== 'stopping') throw commandError(host.name, ['pg_ctl', 'stop'], result)
  throw new BackstayError(
    'TIMEOUT',
    `Server "${name}" did not stop (${mode}) within ${formatDuration(options.timeoutMs)}: it is still shutting down with pid ${left.pid}`,
    {
      hint: 'Look for sessions, WAL senders or an archive_command that hold it up; it goes on stopping.',
      details: { server: name, host: host.name, directory, pid: left.pid, mode },
    },
  )
}

/** Stops the server (fast) when it runs, and starts it. @throws like both. */
export async function restartServer(
  instance: PostgresInstance,
  options: StartOptions,
): Promise<Postmaster> {
  await stopServer(instance, options)
  return startServer(instance, options)
}

/** Has the server read its files again; false when it does not run. */
export async function reloadServer(instance: PostgresInstance): Promise<boolean> {
  if ((await findPostmaster(instance.host, instance.directory)) === undefined) return false
  const { user, directory } = instance
  const options = { user, environment: { PGDATA: directory } }
  await runChecked(instance.host, pgCtlCommand(instance, ['reload']), options)
  return true
}

/**
 * Promotes a standby and waits until it is a primary. The caller has proved that it may be promoted.
 * @throws HOST_COMMAND when it is no standby, does not run, or takes longer.
 */
export async function promoteServer(
  instance: PostgresInstance,
  options: WaitOptions,
): Promise<void> {
  const result = await pgCtl(instance, ['promote', ...waiting(options)], options)
  if (result.exitCode !== 0) throw commandError(instance.host.name, ['pg_ctl', 'promote'], result)
}

function startArguments(options: StartOptions): readonly string[] {
  const { logFile, serverOptions = [] } = options
  const extra = serverOptions.length === 0 ? [] : ['-o', shellCommand(serverOptions)]
  // pg_ctl puts it between double quotes in a shell command, as it is.
  return ['start', ...waiting(options), '-l', logFile.replace(DOUBLE_QUOTED, '\\$&'), ...extra]
}

function waiting(options: WaitOptions): readonly string[] {
  return ['-w', '-t', String(Math.max(1, Math.ceil(options.timeoutMs / 1000)))]
}

function pgCtlCommand(instance: PostgresInstance, words: readonly string[]): readonly string[] {
  const { binaries, directory } = instance
  // The same happens to -D, which pg_ctl opens itself, too, so it cannot be escaped: such a name goes through PGDATA.
  const place = directory.search(DOUBLE_QUOTED) < 0 ? ['-D', directory] : []
  return [`${binaries.directory}/pg_ctl`, ...place, '-s', ...words]
}

async function pgCtl(
  instance: PostgresInstance,
  words: readonly string[],
  options: WaitOptions,
): Promise<CommandResult> {
  return instance.host.run(pgCtlCommand(instance, words), {
    user: instance.user,
    environment: { PGDATA: instance.directory },
    timeoutMs: options.timeoutMs + GRACE_MS,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
}
