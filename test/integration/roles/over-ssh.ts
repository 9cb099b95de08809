/**
 * A house whose servers are reached over ssh, as if they were on other machines: nothing but ssh touches their files and processes.
 */
import { networkInterfaces } from 'node:os'
import { type ClusterContext, clusterContext } from '../../../src/cluster/context.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { SshHost } from '../../../src/host/ssh-host.ts'
import { systemClock } from '../../../src/util/clock.ts'
import type { TestSshd } from '../../harness/sshd.ts'
import { type House, openHouse } from '../cluster/house.ts'

/** Servers that are several machines must have an address that is not every machine's own; undefined where there is only loopback. */
export const ADDRESS = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

/** The same house whose servers listen on that address. */
export function withAddress(base: House): House {
  const servers = base.wanted.servers.map((server) => ({ ...server, address: ADDRESS ?? '' }))
  return openHouse(base.path, { ...base.wanted, servers }, async () => undefined)
}

/** Contexts that reach the servers over ssh, with one connection for all of them. */
export async function overSsh(
  house: House,
  sshd: TestSshd,
): Promise<AsyncDisposable & { readonly context: () => ClusterContext }> {
  const { address, configFile, environment } = sshd
  const options = { name: 'there', address, configFile, environment, clock: systemClock }
  const host = await SshHost.connect({ ...options, user: 'root' })
  const servers = house.wanted.servers.map((server) => ({
    ...server,
    host: { ...server.host, local: false },
  }))
  return {
    context: () =>
      clusterContext({
        wanted: { ...house.wanted, servers },
        home: new LocalHost('localhost'),
        openHost: async ({ local }) => (local ? new LocalHost('localhost') : host),
        clock: systemClock,
        signal: new AbortController().signal,
      }),
    [Symbol.asyncDispose]: async () => host.close(),
  }
}
