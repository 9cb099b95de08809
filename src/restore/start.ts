/**
 * Opens a restored directory and waits until recovery has ended as planned. Needs no login: how far the server is, is read from
 * pg_control and from its log.
 */
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { startServer, type WaitOptions } from '../host/postgres-control.ts'
import type { PostgresInstance } from '../host/postgres-instance.ts'
import { findPostmaster } from '../host/postmaster.ts'
import { logPosition, readLogAfter, tellingLines } from '../host/server-log.ts'
import {
  CONTROL_FILE_PATH,
  type DatabaseState,
  parseControlFile,
} from '../postgres/control-file.ts'
import type { Clock } from '../util/clock.ts'
import { formatDuration } from '../util/duration.ts'
import { until } from '../util/until.ts'
import type { RestorePlan } from './plan.ts'

export const OPENED_STATES = ['promoted', 'paused', 'standby', 'shut-down'] as const

/** How recovery ended: what the plan's action asked for. */
export type OpenedState = (typeof OPENED_STATES)[number]

/** How a restored directory is opened. */
export interface OpenOptions extends WaitOptions {
  readonly clock: Clock
  /** Absolute; where the server's output goes. */
  readonly logFile: string
}

/**
 * Given on the command line, so for this run only: the copy is reachable from this machine alone, and its log can be read here.
 * What the origin listens on may not exist on this machine, or be the origin's.
 */
const SERVER_OPTIONS = {
  listen_addresses: 'localhost',
  unix_socket_directories: '/tmp',
  logging_collector: 'off',
  log_destination: 'stderr',
  lc_messages: 'C',
} as const

/** What servers of all versions say when they pause at the target. */
const PAUSED = /LOG: {2}(pausing at the end of recovery|recovery has paused)/

/**
 * Starts the server in a restored directory and waits for the end of recovery (for a standby: until it is consistent).
 * @throws {BackstayError} HOST_COMMAND with the end of its log when it gives up, TIMEOUT, PORT_IN_USE.
 */
export async function openRestored(
  instance: PostgresInstance,
  plan: RestorePlan,
  options: OpenOptions,
): Promise<OpenedState> {
  const { host, directory } = instance
  const position = await logPosition(host, options.logFile)
  const wanted = stateWanted(plan)
  const deadlineMs = options.clock.monotonic() + options.timeoutMs
  await start(instance, wanted, options)
  if (wanted === 'standby') return wanted
  const state = await until(() => stateReached(instance, wanted, { ...options, position }), {
    clock: options.clock,
    timeoutMs: Math.max(1000, deadlineMs - options.clock.monotonic()),
    intervalMs: 50,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  if (state !== undefined) return state
  throw new BackstayError(
    'TIMEOUT',
    `The server in "${directory}" did not come to the end of recovery within ${formatDuration(options.timeoutMs)}`,
    { hint: `It goes on; its log is "${options.logFile}".`, details: { directory } },
  )
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

async function start(
  instance: PostgresInstance,
  wanted: OpenedState,
  options: OpenOptions,
): Promise<void> {
  const { directory } = instance
  const settings = { ...SERVER_OPTIONS, data_directory: directory }
  const serverOptions = Object.entries(settings).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ])
  try {
    await startServer(instance, { ...options, serverOptions })
  } catch (error) {
    // A target reached before pg_ctl looked: the server is gone, as it was told.
    if (wanted === 'shut-down' && (await stateOf(instance)) === 'shut down in recovery') return
    throw error
  }
}

async function stateReached(
  instance: PostgresInstance,
  wanted: OpenedState,
  log: { readonly logFile: string; readonly position: number },
): Promise<OpenedState | undefined> {
  const { host, directory } = instance
  const state = await stateOf(instance)
  if (wanted === 'promoted' && state === 'in production') return wanted
  const isGone = (await findPostmaster(host, directory)) === undefined
  if (wanted === 'shut-down' && isGone && state === 'shut down in recovery') return wanted
  const text = await readLogAfter(instance, log.logFile, log.position)
  if (wanted === 'paused' && PAUSED.test(text)) return wanted
  if (!isGone) return undefined
  throw new BackstayError(
    'HOST_COMMAND',
    `The server in "${directory}" ended during recovery: its log says: ${tellingLines(text)}`,
    { hint: 'Correct what the log names and start it again.', details: { directory } },
  )
}

async function stateOf(instance: PostgresInstance): Promise<DatabaseState | undefined> {
  const content = await instance.host.readFile(join(instance.directory, CONTROL_FILE_PATH))
  try {
    return content === undefined ? undefined : parseControlFile(content).state
  } catch {
    // Read while the server wrote it: the next look sees it whole.
    return undefined
  }
}
