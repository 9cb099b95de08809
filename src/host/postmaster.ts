/**
 * Whether a server runs on a data directory: postmaster.pid, and whether its pid is really that server. A file left by a
 * crash or a reboot names a process that is gone, or one that has nothing to do with it.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import type { Host } from './host.ts'

export const POSTMASTER_STATES = ['starting', 'stopping', 'ready', 'standby'] as const

/** `standby`: in recovery without accepting connections (hot_standby off); a hot standby says `ready`. */
export type PostmasterState = (typeof POSTMASTER_STATES)[number]

/** A running server as its postmaster.pid describes it. Lines: PostgreSQL's miscadmin.h, LOCK_FILE_LINE_*. */
export interface Postmaster {
  readonly pid: number
  readonly startedAtMs: number | undefined
  /** Undefined while it is starting, as are the next two. */
  readonly port: number | undefined
  readonly socketDirectory: string | undefined
  /** First of listen_addresses; undefined when it listens on sockets only. */
  readonly listenAddress: string | undefined
  readonly state: PostmasterState
}

/**
 * The server that runs on `directory`, or undefined. Where another OS user's process cannot be looked at, its name decides:
 * better to hold a foreign PostgreSQL for ours than to touch the files under a running one.
 */
export async function findPostmaster(
  host: Host,
  directory: string,
): Promise<Postmaster | undefined> {
  const file = await host.readFile(`${directory}/postmaster.pid`)
  const postmaster = file === undefined ? undefined : parsePostmasterPid(file.toString())
  if (postmaster === undefined) return undefined
  const process = `/proc/${postmaster.pid}`
  const stat = (await host.readFile(`${process}/stat`))?.toString()
  if (stat === undefined || !isServerProcess(stat)) return undefined
  const worksIn = await workingDirectory(host, process)
  if (worksIn === 'hidden') return postmaster
  return worksIn?.path === (await realPath(host, directory)) ? postmaster : undefined
}

/** Reads postmaster.pid; undefined when its first line is no pid (being written, or damaged). */
export function parsePostmasterPid(text: string): Postmaster | undefined {
  const [pid = '', , started, port, socket, address, , state] = text.split('\n')
  // A negative pid is a stand-alone backend (postgres --single): it holds the directory just the same.
  if (!/^-?[1-9]\d*$/.test(pid.trim())) return undefined
  const known = POSTMASTER_STATES.find((word) => word === state?.trim())
  return {
    pid: Math.abs(Number(pid)),
    startedAtMs: positive(started) === undefined ? undefined : Number(started) * 1000,
    port: positive(port),
    socketDirectory: filled(socket),
    listenAddress: filled(address),
    state: known ?? 'starting',
  }
}

/** Whether the process of a /proc/PID/stat is a PostgreSQL server that is not a zombie. */
function isServerProcess(stat: string): boolean {
  const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
  const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
  return (name === 'postgres' || name === 'postmaster') && state !== 'Z'
}

/** The directory a process works in (a postmaster: its data directory); undefined when the process has gone. */
async function workingDirectory(
  host: Host,
  process: string,
): Promise<{ readonly path: string | undefined } | 'hidden' | undefined> {
  try {
    const link = await host.inspect(`${process}/cwd`)
    return link === undefined ? undefined : { path: link.target }
  } catch (error) {
    if (isBackstayError(error, 'HOST_PRIVILEGE')) return 'hidden'
    throw error
  }
}

async function realPath(host: Host, path: string): Promise<string> {
  return (await host.run(['readlink', '-f', '--', path])).stdout.replace(/\n$/, '')
}

function positive(text: string | undefined): number | undefined {
  const value = Number(text)
  return Number.isInteger(value) && value > 0 ? value : undefined
}

function filled(text: string | undefined): string | undefined {
  const trimmed = text?.trim() ?? ''
  return trimmed === '' ? undefined : trimmed
}
