/**
 * A cluster whose servers are reached over ssh, as if they were on other machines, with this Backstay to be put there. Its folder is
 * a test's own, so that nothing of a test lies in /opt.
 */
import { statSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { ownPackage } from '../../../src/cli/session/own-package.ts'
import {
  type ClusterContext,
  clusterContext,
  type ClusterEvent,
} from '../../../src/cluster/context.ts'
import type { ClusterWanted } from '../../../src/cluster/wanted.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { SshHost } from '../../../src/host/ssh-host.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { whyNoSshd } from '../../harness/sshd.ts'

/** Servers that are several machines must have an address that is not every machine's own. */
const ADDRESS = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

/** Why there can be no such cluster here; false when there can. */
export function whyNoRemoteHouse(): string | false {
  if (!availableMajors().includes(18)) return 'not installed'
  return whyNoSshd() ?? (ADDRESS === undefined ? 'this machine has only its loopback' : false)
}

/** What a process needs to be an operator; plain data. */
export interface OperatorOrder {
  readonly wanted: ClusterWanted
  readonly ssh: {
    readonly address: string
    readonly configFile: string
    readonly environment: Readonly<Record<string, string>>
  }
  /** Where Backstay is put. */
  readonly folder: string
  /** As `uname -m` would have to say it. */
  readonly architecture?: string
  /** Put there in place of Node.js. */
  readonly program?: string
}

/** The wish with all servers on other machines. */
export function onOtherMachines(wanted: ClusterWanted): ClusterWanted {
  const servers = wanted.servers.map((server) => ({
    ...server,
    address: ADDRESS ?? '',
    host: { ...server.host, local: false },
  }))
  return { ...wanted, servers }
}

/** An operator with one connection to the machine. */
export async function openOperator(
  order: OperatorOrder,
  report: (event: ClusterEvent) => void = () => undefined,
): Promise<AsyncDisposable & { readonly context: () => ClusterContext }> {
  const { address, configFile, environment } = order.ssh
  const options = { name: 'there', address, configFile, environment, clock: systemClock }
  const host = await SshHost.connect({ ...options, user: 'root' })
  const own = ownPackage()
  const { wanted, folder, program, architecture = own.architecture } = order
  const files = own.files.map((file) =>
    file.path === 'node' && program !== undefined
      ? { ...file, source: program, sizeBytes: statSync(program).size }
      : file,
  )
  return {
    context: () =>
      clusterContext({
        wanted,
        home: new LocalHost('localhost'),
        openHost: async () => host,
        service: async () => ({
          ...own,
          files,
          architecture,
          folder,
          clusterFile: '',
          unitText: () => '',
        }),
        clock: systemClock,
        signal: new AbortController().signal,
        report,
      }),
    [Symbol.asyncDispose]: async () => host.close(),
  }
}
