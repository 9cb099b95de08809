/**
 * Opens a restored directory and waits until recovery has ended as planned. That it ended is not
 * enough: where it ended is asked of recovery itself and compared with the plan, because recovery
 * pauses, ends and promotes for other reasons than its target too.
 */
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { startServer, stopServer, type WaitOptions } from '../host/postgres-control.ts'
import type { PostgresInstance } from '../host/postgres-instance.ts'
import { findPostmaster } from '../host/postmaster.ts'
import { logPosition, readLogAfter, tellingLines } from '../host/server-log.ts'
import { setConfValue } from '../postgres/conf-file.ts'
import { formatLsn, INVALID_LSN } from '../postgres/lsn.ts'
import { quietSession } from '../postgres/session-settings.ts'
import { versionFacts } from '../postgres/version.ts'
import type { Clock } from '../util/clock.ts'
import { formatDuration } from '../util/duration.ts'
import { until } from '../util/until.ts'
import { noteCopy } from './opened-copy.ts'
import type { RestorePlan } from './plan.ts'
import { describeEnd, isPlannedEnd, type RecoveryEnd } from './recovery-end.ts'
import {
  type Recovering,
  type RecoveryFound,
  recoveryState,
  SOCKET_DIRECTORY,
} from './recovery-state.ts'
import { SideDoor } from './side-door.ts'

const OPENED_STATES = ['promoted', 'paused', 'standby', 'shut-down'] as const

/** How recovery ended: what the plan's action asked for. */
export type OpenedState = (typeof OPENED_STATES)[number]

/** Whether it needs no more WAL: one that is paused, follows, or is started again recovers on. */
export function hasRecovered(state: OpenedState): boolean {
  return state === 'promoted'
}

/** How a restored directory is opened. */
export interface OpenOptions extends WaitOptions {
  readonly clock: Clock
  /** Absolute; where the server's output goes. */
  readonly logFile: string
  /** Of the backup, for whoever removes the copy (opened-copy.ts). */
  readonly hold?: string | undefined
}

/**
 * Given on the command line, so for this run only: the copy is reachable from this machine alone,
 * and its log can be read here. What the origin listens on may not exist on this machine, or be the
 * origin's. Its TLS files may be missing, and a command gives their passphrase.
 * shared_preload_libraries stay: recovery may need one (resource managers of extensions, from 15
 * on), and so may the data.
 */
const SERVER_OPTIONS = {
  listen_addresses: 'localhost',
  unix_socket_directories: SOCKET_DIRECTORY,
  logging_collector: 'off',
  log_destination: 'stderr',
  lc_messages: 'C',
  ssl: 'off',
} as const

const LEAST_WAIT_MS = 1000
const STOP_TIMEOUT_MS = 600_000
const INTERVAL_MS = 100

/**
 * Starts the server in a restored directory and waits for the end of recovery (for a standby: until
 * it is consistent).
 * @throws {BackstayError} RECOVERY_END when it ended elsewhere than planned, HOST_COMMAND with the
 * end of its log when it gives up, TIMEOUT, PORT_IN_USE.
 */
export async function openRestored(
  instance: PostgresInstance,
  plan: RestorePlan,
  options: OpenOptions,
): Promise<OpenedState> {
  const wanted = stateWanted(plan)
  const end = endToProve(plan, wanted)
  const position = await logPosition(instance.host, options.logFile)
  const deadlineMs = options.clock.monotonic() + options.timeoutMs
  // A server that shuts down by itself can no longer be asked where it stopped: it pauses there,
  // and is shut down then.
  await using action = wanted === 'shut-down' ? await holdAction(instance, plan) : undefined
  await noteCopy(instance.host, instance, { ...plan, hold: options.hold })
  await using door = await SideDoor.open(instance)
  await start(instance, { ...options, ...action?.settings })
  if (wanted === 'standby') return wanted
  await using recovering = recoveryState({ instance, plan, door })
  const timeoutMs = Math.max(LEAST_WAIT_MS, deadlineMs - options.clock.monotonic())
  const state = await until(
    () => stateReached(recovering, { wanted, end, logFile: options.logFile, position }),
    {
      clock: options.clock,
      timeoutMs,
      intervalMs: INTERVAL_MS,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  )
  if (state === undefined) throw tooLate(instance, options)
  if (state === 'shut-down') await stopServer(instance, { timeoutMs: STOP_TIMEOUT_MS })
  return state
}

function stateWanted(plan: RestorePlan): OpenedState {
  if (plan.stopAt.type === 'none') return plan.standbyMode ? 'standby' : 'promoted'
  switch (plan.action) {
    case 'promote':
      return 'promoted'
    case 'shutdown':
      return 'shut-down'
    case 'pause':
      break
  }
  return 'paused'
}

/** A standby goes on: there is nothing to prove. */
function endToProve({ end }: RestorePlan, wanted: OpenedState): RecoveryEnd {
  if (end !== undefined) return end
  if (wanted === 'standby') return { atLeast: INVALID_LSN, atMost: undefined }
  throw new BackstayError(
    'RECOVERY_END',
    'Cannot open it: where its recovery has to end cannot be said, because WAL is damaged',
    { hint: 'The directory is restored. Start the server yourself and look where it stops.' },
  )
}

const PAUSE = { recovery_target_action: 'pause' } as const

/** Up to 11 the action stands in recovery.conf only. */
async function holdAction(
  { host, directory, user }: PostgresInstance,
  plan: RestorePlan,
): Promise<AsyncDisposable & { readonly settings: { readonly more: Record<string, string> } }> {
  const nothing = async (): Promise<void> => {}
  if (!versionFacts(plan.backup.postgres.major).recoveryConf) {
    return { settings: { more: PAUSE }, [Symbol.asyncDispose]: nothing }
  }
  const path = join(directory, 'recovery.conf')
  const text = (await host.readFile(path))?.toString() ?? ''
  const write = async (content: string): Promise<void> =>
    host.writeFile(path, content, { mode: 0o600, owner: user })
  await write(setConfValue(text, 'recovery_target_action', PAUSE.recovery_target_action))
  return { settings: { more: {} }, [Symbol.asyncDispose]: async () => write(text) }
}

async function start(
  instance: PostgresInstance,
  options: OpenOptions & { readonly more?: Readonly<Record<string, string>> },
): Promise<void> {
  const { directory, binaries } = instance
  const quiet = quietSession(binaries.major)
  const settings = { ...SERVER_OPTIONS, ...quiet, data_directory: directory, ...options.more }
  const serverOptions = Object.entries(settings).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ])
  await startServer(instance, { ...options, serverOptions })
}

interface Watched {
  readonly wanted: OpenedState
  readonly end: RecoveryEnd
  readonly logFile: string
  readonly position: number
}

/** Undefined while recovery goes on. */
async function stateReached(
  recovering: Recovering,
  { wanted, end, logFile, position }: Watched,
): Promise<OpenedState | undefined> {
  const { instance } = recovering
  const isRunning = (await findPostmaster(instance.host, instance.directory)) !== undefined
  const found = await recovering.look()
  if (found !== undefined) {
    if (!isPlannedEnd(end, found.lsn)) throw endedElsewhere(instance, end, found)
    if (found.state === (wanted === 'promoted' ? 'promoted' : 'paused')) return wanted
    if (found.state === 'promoted') throw endedElsewhere(instance, end, found)
  }
  if (isRunning) return undefined
  const text = await readLogAfter(instance, logFile, position)
  throw new BackstayError(
    'HOST_COMMAND',
    `The server in "${instance.directory}" ended during recovery: its log says: ${tellingLines(text)}`,
    {
      hint: 'Correct what the log names and start it again.',
      details: { directory: instance.directory },
    },
  )
}

function endedElsewhere(
  { directory }: PostgresInstance,
  end: RecoveryEnd,
  { state, lsn }: RecoveryFound,
): BackstayError {
  const reached = formatLsn(lsn)
  const planned = describeEnd(end)
  const what = state === 'paused' ? 'paused' : 'ended'
  return new BackstayError(
    'RECOVERY_END',
    `Recovery of "${directory}" ${what} at LSN ${reached}, not at ${planned} as planned`,
    {
      hint: 'Do not take it for what was asked for. See its log, `backstay wal gaps` and `backstay verify-backup`: WAL may be damaged, or a setting be too low for the WAL.',
      details: { directory, state, reachedLsn: reached, plannedLsn: planned },
    },
  )
}

function tooLate({ directory }: PostgresInstance, options: OpenOptions): BackstayError {
  return new BackstayError(
    'TIMEOUT',
    `The server in "${directory}" did not come to the end of recovery within ${formatDuration(options.timeoutMs)}`,
    { hint: `It goes on; its log is "${options.logFile}".`, details: { directory } },
  )
}
