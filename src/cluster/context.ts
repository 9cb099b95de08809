/**
 * What every operation on a cluster is given: the wish, the hosts, the clock, the way to stop and
 * the way to tell.
 */
import { posix } from 'node:path'
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { findBinaries, type PostgresBinaries } from '../host/binaries.ts'
import type { Host } from '../host/host.ts'
import { decideOsUser, userExists } from '../host/os-user.ts'
import { ownerOfWay } from '../host/owner-of-way.ts'
import { hasSystemd } from '../host/systemd.ts'
import { REPOSITORY_OBJECT } from '../repository/format.ts'
import type { Clock } from '../util/clock.ts'
import type { RunningFound } from './found.ts'
import type { OwnService } from './machine/own-service.ts'
import type { ServiceSource } from './machine/service-source.ts'
import { StateDirectory } from './state/state-directory.ts'
import type { BackupWanted, ClusterWanted, HostWanted, ServerWanted } from './wanted.ts'

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
  /** Something that stays to be read. */
  | { readonly kind: 'note'; readonly server: string; readonly text: string }

/** What the caller gives. */
export interface ClusterOptions {
  readonly wanted: ClusterWanted
  /** The machine Backstay runs on; the state directory lies there. */
  readonly home: Host
  /** Opens the host of a server; called again for one that could not be opened. */
  readonly openHost: (host: HostWanted) => Promise<Host>
  /** PostgreSQL that came with npm, for servers on this machine (host/binaries.ts). */
  readonly embedded?: { readonly directories: readonly string[]; readonly copyTo: string }
  /**
   * What other machines are given: the backup server's, and those of standbys for a clone. Only
   * asked for when there are such.
   */
  readonly service?: () => Promise<ServiceSource>
  /** The service of a backup server that is this machine; left out, none is made there. */
  readonly ownService?: (() => Promise<OwnService>) | undefined
  /**
   * Who runs PostgreSQL when root is Backstay and `postgres.osUser` does not exist; only for data
   * that may be lost.
   */
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
  /**
   * OS user that owns the data directory and runs PostgreSQL. On a bare remote host `up` has yet to
   * make him.
   */
  readonly osUser: string
  /**
   * Whether servers there are services of systemd; never on this machine, where they are the
   * operator's own processes.
   */
  readonly usesSystemd: boolean
}

/** A server or the backup server, as far as its machine goes. */
export type Inhabitant =
  | Pick<ServerWanted, 'name' | 'host'>
  | Pick<BackupWanted, 'name' | 'host' | 'osUser' | 'repository' | 'keepsOwner'>

/** Where a server listens; what runs may differ from what is wanted. */
export type Listening = Pick<RunningFound, 'port' | 'socketDirectory'>

/** The options with what is made of them. */
export interface ClusterContext {
  readonly wanted: ClusterWanted
  readonly state: StateDirectory
  readonly home: Host
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Found out once, when it answers. @throws HOST_UNREACHABLE, HOST_PRIVILEGE */
  machineOf(server: Inhabitant): Promise<Machine>
  /** Found out once, when they are there. @throws BINARIES_MISSING, and what `machineOf` throws. */
  binariesOf(server: ServerWanted): Promise<PostgresBinaries>
  /**
   * Makes the Unix socket of a server on another machine reachable from here; to be called before
   * each connection, because ssh may have lost the way. Nothing for servers on this machine.
   */
  reach(server: ServerWanted, listening?: Listening): Promise<void>
  /**
   * Where a server's TCP port is to be connected to from here: its address, or for another machine
   * a socket that leads there through ssh.
   */
  reachAddress(
    server: ServerWanted,
    port: number,
  ): Promise<{ readonly host: string; readonly port: number }>
  /**
   * Directory on this machine where the socket of a server is; undefined when it has none, or it
   * was not reached.
   */
  socketDirectoryOf(server: ServerWanted, listening?: Listening): string | undefined
  /** Whether there is a Backstay to put on other machines. */
  readonly canShip: boolean
  /** @throws BUG when the caller gave none. */
  serviceSource(): Promise<ServiceSource>
  /** Undefined when the caller makes none. */
  ownService(): Promise<OwnService | undefined>
  /**
   * What this operation has set aside, and the primary was proved to have; undefined when it sets
   * nothing aside.
   */
  readonly judgedAsides?: readonly string[]
  report(event: ClusterEvent): void
  crashPoint(name: string): Promise<void>
}

/**
 * Makes the context of one operation. Hosts stay the caller's: `openHost` decides how long they
 * live.
 */
export function clusterContext(options: ClusterOptions): ClusterContext {
  const { wanted, home, clock, signal } = options
  const machineOf = onceThere(async (server: Inhabitant): Promise<Machine> => {
    const host = await options.openHost(server.host)
    const own = 'osUser' in server ? server.osUser : undefined
    const owner = await repositoryOwner(host, server)
    const configured = owner ?? own ?? wanted.postgres.osUser
    const fallback = options.osUserFallback
    const osUser = await decideOsUser(host, {
      configured,
      mayBeMissing: !server.host.local,
      ...(fallback === undefined ? {} : { fallback }),
    })
    return { host, osUser, usesSystemd: !server.host.local && (await hasSystemd(host)) }
  })
  const binariesOf = onceThere(async (server: ServerWanted): Promise<PostgresBinaries> => {
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
  const sockets = new Map<string, string>()
  return {
    wanted,
    state: new StateDirectory(home, wanted.stateDirectory),
    home,
    clock,
    signal,
    machineOf,
    binariesOf,
    reach: async (server, listening) => {
      if (server.host.local) return
      const { host } = await machineOf(server)
      const { directory, port } = placeOf(server, listening)
      if (directory === undefined) return
      const path = await host.reachSocket(posix.join(directory, `.s.PGSQL.${port}`))
      sockets.set(`${server.name} ${directory} ${port}`, posix.dirname(path))
    },
    reachAddress: async (server, port) => {
      if (server.host.local) return { host: server.address, port }
      const { host } = await machineOf(server)
      return { host: posix.dirname(await host.reachPort(server.address, port)), port }
    },
    socketDirectoryOf: (server, listening) => {
      const { directory, port } = placeOf(server, listening)
      return server.host.local ? directory : sockets.get(`${server.name} ${directory} ${port}`)
    },
    canShip: options.service !== undefined,
    serviceSource: onceFor(async () => {
      if (options.service !== undefined) return await options.service()
      throw new BackstayError('BUG', 'Nobody said what a backup server is given')
    }),
    ownService: onceFor(async () => options.ownService?.()),
    report: (event) => options.report?.(event),
    crashPoint: async (name) => {
      signal.throwIfAborted()
      await options.crashPoint?.(name)
    },
  }
}

/**
 * Who owns a repository that is there and goes before what is only a default; undefined when nobody
 * does. Much is done as that user: who has the way there in his hands, whatever file he shows.
 */
async function repositoryOwner(host: Host, server: Inhabitant): Promise<string | undefined> {
  if (!('repository' in server) || server.keepsOwner !== true) return undefined
  const path = posix.join(server.repository, REPOSITORY_OBJECT)
  const shown = (await host.inspect(path))?.owner
  if (shown === undefined || shown === 'root') return undefined
  const owner = await ownerOfWay(host, path)
  return owner === undefined || owner === 'root' || !(await userExists(host, owner))
    ? undefined
    : owner
}

/**
 * A server without a Unix socket has no directory; one that does not run is looked for where it is
 * wanted.
 */
function placeOf(
  server: ServerWanted,
  listening: Listening | undefined,
): { readonly directory: string | undefined; readonly port: number } {
  return listening === undefined
    ? { directory: server.socketDirectory, port: server.port }
    : { directory: listening.socketDirectory, port: listening.port }
}

function onceFor<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return async () => await (made ??= make())
}

/** A failure is not remembered: what is missing may be there the next time. */
function onceThere<S extends { readonly name: string }, T>(
  make: (server: S) => Promise<T>,
): (server: S) => Promise<T> {
  const made = new Map<string, Promise<T>>()
  return async (server) => {
    const known = made.get(server.name) ?? make(server)
    made.set(server.name, known)
    known.catch(() => made.delete(server.name))
    return await known
  }
}

/** An error as a fact: what failed while looking. Bugs are thrown on. */
export function factOf(error: unknown): BackstayError {
  if (isBackstayError(error) && error.code !== 'BUG' && error.code !== 'INTERRUPTED') return error
  throw error
}

/** What `look` gives, or `otherwise` where it failed for a reason that is a fact. */
export async function orElse<T, U>(look: () => Promise<T>, otherwise: U): Promise<T | U> {
  try {
    return await look()
  } catch (error) {
    factOf(error)
    return otherwise
  }
}
