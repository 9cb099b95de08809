/**
 * The receiver of a server as a process: whether one runs, starting one that outlives us, stopping
 * one.
 */
import { spawn } from 'node:child_process'
import type { BarmanServer } from '../../config/barman/model.ts'
import { findLocks } from '../../repository/lock.ts'
import { until } from '../../util/until.ts'
import type { BarmanContext } from '../context.ts'
import { ownProgram } from '../version.ts'
import { placeOf } from './barman-place.ts'

const RECEIVER_LOCK = 'receiver'
const STOP_TIMEOUT_MS = 30_000

/** Locks a task of Barman's name holds: task → lock. */
export const TASK_LOCKS: Readonly<Record<string, string>> = {
  'receive-wal': RECEIVER_LOCK,
  backup: 'catalogue',
  cron: 'cron',
  'archive-wal': 'archive-wal',
  'sync-backup': 'catalogue',
  'sync-wal': 'sync-wal',
}

/** The pid of the process that does `task` for a server on this host; undefined when none does. */
export async function pidOfTask(
  context: Pick<BarmanContext, 'config' | 'clock'>,
  server: Pick<BarmanServer, 'name' | 'repository'>,
  task: string,
): Promise<number | undefined> {
  const lock = TASK_LOCKS[task]
  if (lock === undefined) return undefined
  const { store, names, clock } = placeOf(context, server)
  const found = await findLocks({ store, names, clock }, lock)
  // One that lasts until a time counts as alive for that alone: of its holder nothing is known.
  const holds = found.find(({ liveness, until: end }) => liveness === 'alive' && end === undefined)
  return holds?.holder.pid
}

/** Stops the process with SIGINT and waits for its end. False when it did not end in time. */
export async function stopTask(
  context: BarmanContext,
  server: BarmanServer,
  task: string,
): Promise<boolean> {
  const pid = await pidOfTask(context, server, task)
  if (pid === undefined) return true
  process.kill(pid, 'SIGINT')
  const isGone = async (): Promise<boolean> => (await pidOfTask(context, server, task)) !== pid
  const { clock, signal } = context
  return (await until(isGone, { clock, timeoutMs: STOP_TIMEOUT_MS, signal })) === true
}

/**
 * Starts `barman <words>` with our configuration in a session of its own; it lives on when we end.
 */
export function startDetached({ config, options }: BarmanContext, words: readonly string[]): void {
  const [program = '', ...rest] = ownProgram('barman.js')
  const child = spawn(program, [...rest, '-c', config.file, '-q', ...words], {
    cwd: '/',
    detached: true,
    stdio: options.keepDescriptors === true ? 'inherit' : 'ignore',
  })
  child.unref()
}
