/**
 * From the command line to a cluster: the cluster file, the hosts it names and the context every cluster operation is given.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { type ClusterContext, type ClusterOptions, clusterContext } from '../../cluster/context.ts'
import type { ClusterWanted, HostWanted } from '../../cluster/wanted.ts'
import { embeddedDirectories } from '../../host/embedded-postgres.ts'
import type { Host } from '../../host/host.ts'
import { LocalHost } from '../../host/local-host.ts'
import type { CommandContext } from '../context.ts'
import { packageFile } from '../version.ts'

/** One command's hold on a cluster. Disposing closes its hosts. */
export interface ClusterSession extends AsyncDisposable {
  readonly wanted: ClusterWanted
  readonly cluster: ClusterContext
  /** The machine Backstay runs on. */
  readonly home: Host
}

/** What a caller may add to the context. */
export type SessionOptions = Pick<ClusterOptions, 'report' | 'osUserFallback'>

/** Where embedded PostgreSQL is copied when the OS user that runs it cannot reach the checkout. */
const EMBEDDED_COPIES = '/var/tmp/backstay-postgres'

/** Reads the cluster file and makes the session. @throws CONFIG_MISSING, CONFIG_INVALID */
export async function openClusterSession(
  context: Pick<CommandContext, 'config' | 'clock' | 'signal' | 'workingDirectory'>,
  options: SessionOptions = {},
): Promise<ClusterSession> {
  const { wanted } = await context.config()
  const home = new LocalHost('localhost')
  const hosts: Host[] = [home]
  const openHost = async (host: HostWanted): Promise<Host> => {
    const opened = await open(host, home)
    hosts.push(opened)
    return opened
  }
  const cluster = clusterContext({
    wanted,
    home,
    openHost,
    clock: context.clock,
    signal: context.signal,
    embedded: {
      directories: embeddedDirectories([packageFile('.'), context.workingDirectory]),
      copyTo: EMBEDDED_COPIES,
    },
    ...options,
  })
  return {
    wanted,
    cluster,
    home,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(hosts.map((host) => host.close()))
    },
  }
}

async function open(host: HostWanted, home: Host): Promise<Host> {
  if (host.local) return home
  throw new BackstayError(
    'HOST_UNREACHABLE',
    `Cannot reach host "${host.address}": this version of Backstay works on the machine it runs on`,
    { hint: 'Use 127.0.0.1 as the host of servers on this machine.' },
  )
}
