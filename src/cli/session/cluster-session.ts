/**
 * From the command line to a cluster: the cluster file, the hosts it names and the context every
 * cluster operation is given.
 */
import { readFile } from 'node:fs/promises'
import { type ClusterContext, type ClusterOptions, clusterContext } from '../../cluster/context.ts'
import type { ServiceSource } from '../../cluster/machine/service-source.ts'
import type { ClusterWanted, HostWanted } from '../../cluster/wanted.ts'
import { embeddedDirectories } from '../../host/embedded-postgres.ts'
import type { Host } from '../../host/host.ts'
import { LocalHost } from '../../host/local-host.ts'
import { systemdUnit } from '../../service/systemd-unit.ts'
import { trustedUids } from '../../util/trusted-path.ts'
import { checkTrusted } from '../../config/trusted.ts'
import type { CommandContext } from '../context.ts'
import { packageFile } from '../version.ts'
import { ownPackage } from './own-package.ts'
import { ownService } from './own-service.ts'
import { RemoteHosts } from './remote-hosts.ts'
import { NO_QUESTIONS, terminalQuestions } from './terminal-questions.ts'

/** One command's hold on a cluster. Disposing closes its hosts. */
export interface ClusterSession extends AsyncDisposable {
  readonly wanted: ClusterWanted
  readonly cluster: ClusterContext
  /** The machine Backstay runs on. */
  readonly home: Host
}

/** What a caller may add to the context. */
export type SessionOptions = Pick<ClusterOptions, 'report' | 'osUserFallback' | 'ownService'>

/**
 * Where root copies embedded PostgreSQL when the OS user that runs it cannot reach the checkout.
 * Nobody else can write there.
 */
const EMBEDDED_COPIES = '/var/lib/backstay-postgres'

/**
 * What a session needs of a command. Without the rest it works on this machine and on hosts that
 * ask nothing.
 */
export type SessionContext = Pick<
  CommandContext,
  'config' | 'clock' | 'signal' | 'workingDirectory'
> &
  Partial<
    Pick<CommandContext, 'environment' | 'acceptsNewHostKeys' | 'stdin' | 'stdout' | 'trusted'>
  >

/** Reads the cluster file and makes the session. @throws CONFIG_MISSING, CONFIG_INVALID */
export async function openClusterSession(
  context: SessionContext,
  options: SessionOptions = {},
): Promise<ClusterSession> {
  const { wanted, path } = await context.config()
  const home = new LocalHost('localhost')
  const remote = remoteHosts(context)
  const { trusted = trustedUids(process.getuid?.() ?? 0, undefined) } = context
  checkBinaries(wanted, trusted)
  const cluster = clusterContext({
    wanted,
    home,
    openHost: async (host: HostWanted): Promise<Host> =>
      host.local ? home : await remote.open(host),
    service: async () => serviceSource(path),
    ownService: async () => ownService(path),
    clock: context.clock,
    signal: context.signal,
    embedded: {
      directories: embeddedDirectories([packageFile('.'), context.workingDirectory], trusted),
      copyTo: EMBEDDED_COPIES,
    },
    ...options,
  })
  return {
    wanted,
    cluster,
    home,
    [Symbol.asyncDispose]: async () => {
      await remote[Symbol.asyncDispose]()
      await home.close()
    },
  }
}

/**
 * The directory of programs that the file names, where they are run on this machine.
 * @throws DIRECTORY_OWNER
 */
function checkBinaries(wanted: ClusterWanted, trusted: ReadonlySet<number>): void {
  const { binaries } = wanted.postgres
  if (binaries === undefined || !wanted.servers.some(({ host }) => host.local)) return
  checkTrusted(binaries, 'postgres.binaries', trusted)
}

function remoteHosts(context: SessionContext): RemoteHosts {
  const { environment = {}, acceptsNewHostKeys = false, stdin, stdout, signal, clock } = context
  const asking =
    stdin === undefined || stdout === undefined
      ? NO_QUESTIONS
      : terminalQuestions({ stdin, stdout, signal })
  return new RemoteHosts({ environment, acceptsNewHostKeys, asking, clock })
}

async function serviceSource(clusterFile: string): Promise<ServiceSource> {
  return {
    ...ownPackage(),
    clusterFile: await readFile(clusterFile, 'utf8'),
    unitText: ({ command, configFile, user, repository }) =>
      systemdUnit({ command, configFile, user, writablePaths: [repository] }),
  }
}
