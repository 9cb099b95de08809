/**
 * What every operation on a cluster is given: the wish, the hosts, the clock, the way to stop and the way to tell.
 */
import { type BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { findBinaries, type PostgresBinaries } from '../host/binaries.ts'
import type { Host } from '../host/host.ts'
import { decideOsUser } from '../host/os-user.ts'
import type { Clock } from '../util/clock.ts'
import { StateDirectory } from './state/state-directory.ts'
import type { ClusterWanted, HostWanted, ServerWanted } from './wanted.ts'

/** Something that happened, for whoever shows progress. */
export type ClusterEvent =
  | {
      readonly kind: 'step-started'
      readonly id: string
      readonly server: string | undefined
      readonly title: string
    }
  | { readonly kind: 'step-done'; readonly id: string; readonly durationMs: number }
  | { readonly kind: 'step-failed'; readonly id: string }
  /** At most a few a second. `totalBytes` is the server's estimate. */
  | {
      readonly kind: 'clone-progress'
      readonly server: string
      readonly doneBytes: number
      readonly totalBytes: number | undefined
    }
  | { readonly kind: 'waiting'; readonly server: string; readonly what: string }

/** What the caller gives. */
export interface ClusterOptions {
  readonly wanted: ClusterWanted
  /** The machine Backstay runs on; the state directory lies there. */
  readonly home: Host
  /** Opens the host of a server; called at most once for each server. */
  readonly openHost: (host: HostWanted) => Promise<Host>
  /** PostgreSQL that came with npm, for servers on this machine (host/binaries.ts). */
  readonly embedded?: { readonly directories: readonly string[]; readonly copyTo: string }
  /** Who runs PostgreSQL when root is Backstay and `postgres.osUser` does not exist; only for data that may be lost. */
  readonly osUserFallback?: 'nobody'
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly report?: (event: ClusterEvent) => void
  /** For tests that kill the process at a named point; never set otherwise. */
  readonly crashPoint?: (name: string) => Promise<void>
}

/** Where a server runs and as whom. */
export interface Machine {
  readonly host: Host
  /** OS user that owns the data directory and runs PostgreSQL. */
  readonly osUser: string
}

/** The options with what is made of them. */
export interface ClusterContext {
  readonly wanted: ClusterWanted
  readonly state: StateDirectory
  readonly home: Host
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Found out once. @throws HOST_UNREACHABLE, HOST_PRIVILEGE again on every call when that failed. */
  machineOf(server: Pick<ServerWanted, 'name' | 'host'>): Promise<Machine>
  /** Found out once. @throws BINARIES_MISSING, and what `machineOf` throws. */
  binariesOf(server: ServerWanted): Promise<PostgresBinaries>
  report(event: ClusterEvent): void
  crashPoint(name: string): Promise<void>
}

/** Makes the context of one operation. Hosts stay the caller's: `openHost` decides how long they live. */
export function clusterContext(options: ClusterOptions): ClusterContext {
  const { wanted, home, clock, signal } = options
  const machineOf = once(async (server: Pick<ServerWanted, 'name' | 'host'>): Promise<Machine> => {
    const host = await options.openHost(server.host)
    const configured = wanted.postgres.osUser
    const fallback = options.osUserFallback
    const osUser = await decideOsUser(host, {
      configured,
      ...(fallback === undefined ? {} : { fallback }),
    })
    return { host, osUser }
  })
  const binariesOf = once(async (server: ServerWanted): Promise<PostgresBinaries> => {
    const { host, osUser } = await machineOf(server)
    const { version, binaries } = wanted.postgres
    const embedded = server.host.local ? options.embedded : undefined
    return await findBinaries(host, {
      major: version,
      user: osUser,
      directory: binaries,
      ...(embedded === undefined
        ? {}
        : { embedded: embedded.directories, copyEmbeddedTo: embedded.copyTo }),
    })
  })
  return {
    wanted,
    state: new StateDirectory(home, wanted.stateDirectory),
    home,
    clock,
    signal,
    machineOf,
    binariesOf,
    report: (event) => options.report?.(event),
    crashPoint: async (name) => {
      signal.throwIfAborted()
      await options.crashPoint?.(name)
    },
  }
}

function once<S extends { readonly name: string }, T>(
  make: (server: S) => Promise<T>,
): (server: S) => Promise<T> {
  const made = new Map<string, Promise<T>>()
  return async (server) => {
    const known = made.get(server.name) ?? make(server)
    made.set(server.name, known)
    return await known
  }
}

/** An error as a fact: what failed while looking. Bugs are thrown on. */
export function factOf(error: unknown): BackstayError {
  if (isBackstayError(error) && error.code !== 'BUG' && error.code !== 'INTERRUPTED') return error
  throw error
}
