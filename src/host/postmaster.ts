/**
 * Whether a server runs on a data directory: postmaster.pid, and whether its pid is really that
 * server. A file left by a crash or a reboot names a process that is gone, or one that has nothing
 * to do with it.
 */
import { SMALL_FILE_BYTES } from './read-limit.ts'
import type { Host } from './host.ts'
import { shellQuote } from './shell-quote.ts'

const POSTMASTER_STATES = ['starting', 'stopping', 'ready', 'standby'] as const

/**
 * `standby`: in recovery without accepting connections (hot_standby off); a hot standby says
 * `ready`.
 */
export type PostmasterState = (typeof POSTMASTER_STATES)[number]

/**
 * A running server as its postmaster.pid describes it. Lines: PostgreSQL's miscadmin.h,
 * LOCK_FILE_LINE_*.
 */
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
 * What `postmaster` returns when no server runs; everything but this and 0 means that it could not
 * tell.
 */
export const NOT_RUNNING = 3

/**
 * The shell function `postmaster DIRECTORY`: prints postmaster.pid when a server runs on the
 * directory, otherwise returns 3, or something else when that cannot be told. A process that
 * belongs to somebody else hides its directory, and its name decides.
 */
export const POSTMASTER_FUNCTION = `
hides() {
  # A server runs as the owner of its directory, who is shown all that is his.
  [ -O "$1" ] && return 1
  case $(kill -0 "$2" 2>&1) in *permitted*) ;; *) return 1 ;; esac
}
postmaster() {
  text=$(dd if="$1/postmaster.pid" iflag=nofollow,nonblock,fullblock,count_bytes count=${SMALL_FILE_BYTES} status=none 2>/dev/null) || { [ -x "$1" ] && [ ! -e "$1/postmaster.pid" ] && return ${NOT_RUNNING}; return 4; }
  pid=$(printf '%s\n' "$text" | head -n 1 | tr -d ' -')
  case $pid in ''|0*|*[!0-9]*) return ${NOT_RUNNING} ;; esac
  stat=$(cat "/proc/$pid/stat" 2>/dev/null) || { hides "$1" "$pid" && return 4; return ${NOT_RUNNING}; }
  case $stat in *'(postgres) '[!Z]*|*'(postmaster) '[!Z]*) ;; *) return ${NOT_RUNNING} ;; esac
  if [ -e "/proc/$pid/cwd" ]; then [ "/proc/$pid/cwd" -ef "$1" ] || return ${NOT_RUNNING}; fi
  [ -e "/proc/$pid" ] || return ${NOT_RUNNING}
  printf '%s\n' "$text"
}
`

/**
 * Ends a script unless a server runs on the directory: with these codes, which no program we start
 * has.
 */
export const NO_POSTMASTER = { notRunning: 203, unknown: 204 } as const

/** Shell that goes on only when a server runs on the directory; needs `POSTMASTER_FUNCTION`. */
export function requirePostmaster(directory: string): string {
  const { notRunning, unknown } = NO_POSTMASTER
  return `postmaster ${shellQuote(directory)} >/dev/null
case $? in 0) ;; ${NOT_RUNNING}) exit ${notRunning} ;; *) exit ${unknown} ;; esac
`
}

/**
 * The server that runs on `directory`, or undefined. Where another OS user's process cannot be
 * looked at, its name decides: better to hold a foreign PostgreSQL for ours than to touch the files
 * under a running one.
 */
export async function findPostmaster(
  host: Host,
  directory: string,
): Promise<Postmaster | undefined> {
  const script = `${POSTMASTER_FUNCTION}postmaster "$1"`
  const { exitCode, stdout } = await host.run(['sh', '-c', script, 'sh', directory])
  if (exitCode === 0) return parsePostmasterPid(stdout)
  if (exitCode === NOT_RUNNING) return undefined
  // The host says why it cannot be read; a file that can be read now is believed.
  const file = await host.readFile(`${directory}/postmaster.pid`, SMALL_FILE_BYTES)
  return file === undefined ? undefined : parsePostmasterPid(file.toString())
}

/** Reads postmaster.pid; undefined when its first line is no pid (being written, or damaged). */
export function parsePostmasterPid(text: string): Postmaster | undefined {
  const [pid = '', , started, port, socket, address, , state] = text.split('\n')
  // A negative pid is a stand-alone backend (postgres --single): it holds the directory just the
  // same.
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

function positive(text: string | undefined): number | undefined {
  const value = Number(text)
  return Number.isInteger(value) && value > 0 ? value : undefined
}

function filled(text: string | undefined): string | undefined {
  const trimmed = text?.trim() ?? ''
  return trimmed === '' ? undefined : trimmed
}
