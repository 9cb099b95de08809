/**
 * Starting, stopping, reloading and promoting a server through pg_ctl, as the OS user it belongs
 * to. Where systemd runs the services it starts the server, and is told when it is stopped, so that
 * it neither loses nor revives it.
 */
import { dirname } from 'node:path/posix'
import { BackstayError } from '../errors/backstay-error.ts'
import { systemClock } from '../util/clock.ts'
import { formatDuration } from '../util/duration.ts'
import { until } from '../util/until.ts'
import { fencePathOf, readFence } from './boot-guard.ts'
import type { HostCommandResult } from './host.ts'
import type { PostgresInstance } from './postgres-instance.ts'
import {
  findPostmaster,
  NO_POSTMASTER,
  NOT_RUNNING,
  parsePostmasterPid,
  type Postmaster,
  POSTMASTER_FUNCTION,
  type PostmasterState,
  requirePostmaster,
} from './postmaster.ts'
import { commandError, runChecked } from './run-checked.ts'
import { logPosition, readLogAfter } from './server-log.ts'
import { shellCommand } from './shell-quote.ts'
import { startByService, stopService } from './postgres-service.ts'
import { configWords } from './postgres-unit.ts'
import { fencedError, meetsLeftovers, startError } from './start-error.ts'
import { watchStart } from './start-watch.ts'

/** pg_ctl waits by itself; it is ended only when it hangs for this much longer. */
const GRACE_MS = 15_000
/**
 * After a crash, the dead postmaster's children or its own unreaped entry may be there for a
 * moment.
 */
const LEFTOVER_TRIES = 30
const SETTLED: readonly PostmasterState[] = ['ready', 'standby']
const STILL_STARTING: HostCommandResult = {
  exitCode: 1,
  stdout: '',
  stderr: 'it is still starting',
}
/** A script's word for a server that runs. */
const RUNS = 10
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
  /**
   * Size of a WAL segment: with less room a server that has to write WAL cannot come up. Default 16
   * MB.
   */
  readonly segmentBytes?: number
  /** Options for postgres, for example `['-c', 'config_file=/etc/…']`. */
  readonly serverOptions?: readonly string[]
}

const STOP_MODES = ['smart', 'fast', 'immediate'] as const

/** pg_ctl's words: smart waits for clients, fast ends them, immediate crashes the server. */
export type StopMode = (typeof STOP_MODES)[number]

/**
 * Starts the server and waits until it accepts connections (or is a standby that never does). A
 * running one is left as it is; one that something else has just started, or is stopping (systemd,
 * after a crash), is waited for.
 * @throws PORT_IN_USE with who has it, DISK_SPACE soon when it finds no room, TIMEOUT while it is
 * still recovering, HOST_COMMAND with what its log says, SPLIT_BRAIN when it is fenced.
 */
export async function startServer(
  instance: PostgresInstance,
  options: StartOptions,
): Promise<Postmaster> {
  const { host, directory } = instance
  const { running, logBytes } = await lookBeforeStart(instance, options.logFile)
  if (running !== undefined) {
    const settled = await watchStart(instance, { ...options, position: 0 }, async (signal) =>
      awaitSettled(instance, running, { ...options, signal }),
    )
    return settled ?? (await startServer(instance, options))
  }
  for (let attempt = 1; ; attempt++) {
    const isFirst = attempt === 1 && logBytes !== undefined
    const position = isFirst ? logBytes : await logPosition(host, options.logFile)
    const result = await watchStart(instance, { ...options, position }, async (signal) =>
      startOnce(instance, { ...options, signal }),
    )
    const postmaster = await findPostmaster(host, directory)
    if (result.exitCode === 0 && postmaster !== undefined) return postmaster
    const log = await readLogAfter(instance, options.logFile, position)
    if (attempt < LEFTOVER_TRIES && postmaster === undefined && meetsLeftovers(log)) continue
    throw await startError(instance, { postmaster, result, log, timeoutMs: options.timeoutMs })
  }
}

/**
 * The server once it accepts connections; undefined when it ended instead.
 * @throws TIMEOUT when it is neither.
 */
async function awaitSettled(
  instance: PostgresInstance,
  running: Postmaster,
  { timeoutMs, signal }: WaitOptions,
): Promise<Postmaster | undefined> {
  const { host, directory } = instance
  let seen: Postmaster | undefined = running
  const isSettled = await until(
    async () => {
      if (seen === undefined || SETTLED.includes(seen.state)) return true
      seen = await findPostmaster(host, directory)
      return false
    },
    { clock: systemClock, timeoutMs, intervalMs: 50, ...(signal && { signal }) },
  )
  if (isSettled === true) return seen
  throw await startError(instance, { postmaster: seen, result: STILL_STARTING, log: '', timeoutMs })
}

/**
 * Arguments: data directory, fence, log file. Nothing is printed for what cannot be told for sure.
 */
const LOOK = `${POSTMASTER_FUNCTION}
running=$(postmaster "$1") && { printf '%s' "$running"; exit ${RUNS}; }
[ $? = ${NOT_RUNNING} ] || exit 1
[ -x "\${1%/*}/" ] && [ ! -e "$2" ] && [ ! -L "$2" ] && [ -f "$3" ] && exec stat -c %s -- "$3"
`

/**
 * In one command what nearly every start finds: it does not run, is not fenced, has a log file.
 * Anything else is looked at closely.
 * @throws SPLIT_BRAIN when it is fenced.
 */
async function lookBeforeStart(
  instance: PostgresInstance,
  logFile: string,
): Promise<{ readonly running: Postmaster | undefined; readonly logBytes: number | undefined }> {
  const { host, directory } = instance
  const words = [directory, fencePathOf(directory), logFile]
  const { exitCode, stdout } = await host.run(['sh', '-c', LOOK, 'sh', ...words])
  if (exitCode === 0) return { running: undefined, logBytes: Number(stdout) }
  const running = exitCode === RUNS ? parsePostmasterPid(stdout) : undefined
  if (running !== undefined) return { running, logBytes: undefined }
  const seen = await findPostmaster(host, directory)
  if (seen !== undefined) return { running: seen, logBytes: undefined }
  const fence = await readFence(instance)
  if (fence !== undefined) throw fencedError(instance, fence)
  await makeLogFile(instance, logFile)
  return { running: undefined, logBytes: undefined }
}

/**
 * systemd takes no options for one start only: with them pg_ctl starts the server, as everywhere
 * else.
 */
async function startOnce(
  instance: PostgresInstance,
  options: StartOptions,
): Promise<HostCommandResult> {
  const { service } = instance
  if (service === undefined || options.serverOptions !== undefined) {
    return await pgCtl(instance, startArguments(instance, options), options)
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
 * Stops the server and waits until it is gone; false when it did not run. Mode `immediate` only
 * when asked for.
 * @throws TIMEOUT when it is still there after `timeoutMs`.
 */
export async function stopServer(
  instance: PostgresInstance,
  options: WaitOptions & { readonly mode?: StopMode },
): Promise<boolean> {
  const { host, service } = instance
  const { isStopped } = await stopAnd(instance, options, [])
  // When it did not run, it may have died a moment ago, and systemd be about to start it again.
  if (service !== undefined) await stopService(host, service)
  return isStopped
}

/**
 * Stops the server and, once it is gone, runs a command as its OS user on the same way to the host:
 * for what has to be quick after a stop. systemd is not told: it starts nothing that ended in
 * order.
 * @returns the command's result; undefined when the server did not run, and the command neither.
 * @throws TIMEOUT when it is still there after `timeoutMs`.
 */
export async function stopServerAnd(
  instance: PostgresInstance,
  options: WaitOptions,
  command: readonly string[],
): Promise<HostCommandResult | undefined> {
  const { isStopped, result } = await stopAnd(instance, options, command)
  return isStopped ? result : undefined
}

/** How a stop ended, with the result of the command after it. */
interface Stopped {
  readonly isStopped: boolean
  readonly result: HostCommandResult
}

/**
 * Says on standard output that pg_ctl has ended well, so that a command that fails after it is not
 * taken for it.
 */
const STOPPED = 'stopped'

async function stopAnd(
  instance: PostgresInstance,
  options: WaitOptions & { readonly mode?: StopMode },
  command: readonly string[],
): Promise<Stopped> {
  const { host, directory } = instance
  const mode = options.mode ?? 'fast'
  const stop = shellCommand(pgCtlCommand(instance, ['stop', '-m', mode, ...waiting(options)]))
  const begin = `${POSTMASTER_FUNCTION}${requirePostmaster(directory)}${stop} || exit\necho ${STOPPED}\n`
  const then = command.length === 0 ? '' : `exec ${shellCommand(command)}`
  const result = await run(instance, ['sh', '-c', `${begin}${then}`], options)
  if (result.stdout.startsWith(`${STOPPED}\n`)) {
    return {
      isStopped: true,
      result: { ...result, stdout: result.stdout.slice(STOPPED.length + 1) },
    }
  }
  if (result.exitCode === NO_POSTMASTER.notRunning) return { isStopped: false, result }
  const left = await findPostmaster(host, directory)
  if (left === undefined) return { isStopped: result.exitCode !== NO_POSTMASTER.unknown, result }
  if (left.state !== 'stopping') throw commandError(host.name, ['pg_ctl', 'stop'], result)
  throw stillStopping(instance, left, { mode, timeoutMs: options.timeoutMs })
}

function stillStopping(
  { name, host, directory }: PostgresInstance,
  { pid }: Postmaster,
  { mode, timeoutMs }: { readonly mode: StopMode; readonly timeoutMs: number },
): BackstayError {
  return new BackstayError(
    'TIMEOUT',
    `Server "${name}" did not stop (${mode}) within ${formatDuration(timeoutMs)}: it is still shutting down with pid ${pid}`,
    {
      hint: 'Look for sessions, WAL senders or an archive_command that hold it up; it goes on stopping.',
      details: { server: name, host: host.name, directory, pid, mode },
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
 * Promotes a standby and waits until it is a primary. The caller has proved that it may be
 * promoted.
 * @throws HOST_COMMAND when it is no standby, does not run, or takes longer.
 */
export async function promoteServer(
  instance: PostgresInstance,
  options: WaitOptions,
): Promise<void> {
  const result = await pgCtl(instance, ['promote', ...waiting(options)], options)
  if (result.exitCode !== 0) throw commandError(instance.host.name, ['pg_ctl', 'promote'], result)
}

function startArguments(instance: PostgresInstance, options: StartOptions): readonly string[] {
  const { logFile, serverOptions = [] } = options
  const given = serverOptions.length === 0 ? [] : ['-o', shellCommand(serverOptions)]
  const extra = [...configWords(instance), ...given]
  // pg_ctl puts it between double quotes in a shell command, as it is.
  return ['start', ...waiting(options), '-l', logFile.replace(DOUBLE_QUOTED, '\\$&'), ...extra]
}

function waiting(options: WaitOptions): readonly string[] {
  return ['-w', '-t', String(Math.max(1, Math.ceil(options.timeoutMs / 1000)))]
}

function pgCtlCommand(instance: PostgresInstance, words: readonly string[]): readonly string[] {
  const { binaries, directory } = instance
  // The same happens to -D, which pg_ctl opens itself, too, so it cannot be escaped: such a name
  // goes through PGDATA.
  const place = directory.search(DOUBLE_QUOTED) < 0 ? ['-D', directory] : []
  return [`${binaries.directory}/pg_ctl`, ...place, '-s', ...words]
}

async function pgCtl(
  instance: PostgresInstance,
  words: readonly string[],
  options: WaitOptions,
): Promise<HostCommandResult> {
  return await run(instance, pgCtlCommand(instance, words), options)
}

/**
 * As the server's OS user; pg_ctl finds the directory in the environment where its name cannot be
 * an argument.
 */
async function run(
  instance: PostgresInstance,
  command: readonly string[],
  options: WaitOptions,
): Promise<HostCommandResult> {
  return await instance.host.run(command, {
    user: instance.user,
    environment: { PGDATA: instance.directory },
    timeoutMs: options.timeoutMs + GRACE_MS,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
}
