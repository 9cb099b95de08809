/**
 * Why a server did not start, from what pg_ctl and its log said.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatDuration } from '../util/duration.ts'
import type { Fence } from './boot-guard.ts'
import { findTightDisk, fullDiskError, isDiskFull } from './full-disk.ts'
import type { HostCommandResult } from './host.ts'
import { describePortOwner, findPortOwners } from './port-owner.ts'
import type { PostgresInstance } from './postgres-instance.ts'
import type { Postmaster } from './postmaster.ts'
import { lastLines } from './run-checked.ts'
import { tellingLines } from './server-log.ts'

/** What is known after pg_ctl start failed. */
export interface FailedStart {
  /** The server, when it is there all the same. */
  readonly postmaster: Postmaster | undefined
  readonly result: HostCommandResult
  /** What the server wrote since. */
  readonly log: string
  readonly timeoutMs: number
}

/**
 * Whether the server met what a crashed one left: children that hold its shared memory until they
 * notice, or a pid in postmaster.pid or the socket's lock file that is not free yet (a zombie
 * counts for PostgreSQL).
 */
export function meetsLeftovers(log: string): boolean {
  return (
    log.includes('pre-existing shared memory block') ||
    /lock file "(postmaster\.pid|[^"]*\.s\.PGSQL\.\d+\.lock)" already exists/.test(log)
  )
}

/**
 * The port that the server could not have because somebody listens there; undefined when that was
 * not the reason.
 */
export function portInUse(log: string): number | undefined {
  const port = /another postmaster already running on port (\d+)/.exec(log)?.[1]
  return port === undefined ? undefined : Number(port)
}

/** The error for a server that somebody has forbidden to start. */
export function fencedError(instance: PostgresInstance, fence: Fence): BackstayError {
  const { host, name, directory } = instance
  return new BackstayError(
    'SPLIT_BRAIN',
    `Will not start "${name}" on "${host.name}": it was fenced by ${fence.by} (${fence.at}): ${fence.reason}`,
    {
      hint: `Let it follow the primary again: backstay rejoin ${name}.`,
      details: { server: name, host: host.name, directory, fence },
    },
  )
}

/** The error to throw. */
export async function startError(
  instance: PostgresInstance,
  failed: FailedStart,
): Promise<BackstayError> {
  const port = portInUse(failed.log)
  if (port !== undefined) return portError(instance, port)
  const { host, name, directory } = instance
  const { log } = failed
  const disk = await findTightDisk(host, directory)
  if (disk !== undefined && isDiskFull(log, disk)) {
    return fullDiskError(instance, { failed: `Cannot start "${name}"`, disk, log })
  }
  return failed.postmaster === undefined
    ? refusedError(instance, failed)
    : lateError(instance, failed, failed.postmaster)
}

async function portError(instance: PostgresInstance, port: number): Promise<BackstayError> {
  const { host, name } = instance
  const owners = await findPortOwners(host, port)
  const who =
    owners.length === 0 ? 'somebody who has gone since' : owners.map(describePortOwner).join(', ')
  return new BackstayError(
    'PORT_IN_USE',
    `Cannot start "${name}": port ${port} on "${host.name}" is used by ${who}`,
    { details: { server: name, host: host.name, port, owners } },
  )
}

function refusedError(instance: PostgresInstance, failed: FailedStart): BackstayError {
  const { host, name, directory } = instance
  const said =
    tellingLines(failed.log) ||
    lastLines(failed.result.stderr) ||
    lastLines(failed.result.stdout) ||
    'it said nothing'
  return new BackstayError('HOST_COMMAND', `Cannot start "${name}": its log says: ${said}`, {
    hint: meetsLeftovers(failed.log)
      ? `See that no process of the old server is left; if postmaster.pid in "${directory}" names another program, remove that file.`
      : 'Correct what the log names and try again.',
    details: { server: name, host: host.name, directory, exitCode: failed.result.exitCode },
  })
}

function lateError(
  instance: PostgresInstance,
  failed: FailedStart,
  postmaster: Postmaster,
): BackstayError {
  const { host, name, directory } = instance
  const last = failed.log.trimEnd().split('\n').at(-1) ?? ''
  return new BackstayError(
    'TIMEOUT',
    `Server "${name}" did not accept connections within ${formatDuration(failed.timeoutMs)}: it is still starting with pid ${postmaster.pid}; last line of its log: ${last}`,
    {
      hint: 'It goes on starting: wait, or raise the time. Recovery of much WAL takes long.',
      details: { server: name, host: host.name, directory, pid: postmaster.pid },
    },
  )
}
