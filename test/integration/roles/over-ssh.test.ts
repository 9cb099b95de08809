/**
 * A switchover where every server is reached over ssh: nothing but ssh touches its files and processes.
 */
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { describe, test } from 'node:test'
import { type ClusterContext, clusterContext } from '../../../src/cluster/context.ts'
import { switchOver } from '../../../src/cluster/roles/switchover.ts'
import { bringUp } from '../../../src/cluster/up.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { SshHost } from '../../../src/host/ssh-host.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { startSshd, type TestSshd, whyNoSshd } from '../../harness/sshd.ts'
import { type House, makeHouse, openHouse } from '../cluster/house.ts'
import { isInOrder, primariesOf } from './support.ts'
import { lostRows, makeTable, Writer } from './writer.ts'

/** Servers that are several machines must have an address that is not every machine's own. */
const ADDRESS = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

function whyNot(): string | false {
  if (!availableMajors().includes(18)) return 'not installed'
  return whyNoSshd() ?? (ADDRESS === undefined ? 'this machine has only its loopback' : false)
}

/** Contexts that reach the servers over ssh, with one connection for all of them. */
async function overSsh(
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

describe('over ssh', { skip: whyNot() }, () => {
  test('a switchover loses no row and is proved', async (t) => {
    await using sshd = await startSshd()
    await using base = await makeHouse({ major: 18, backup: false })
    const servers = base.wanted.servers.map((server) => ({ ...server, address: ADDRESS ?? '' }))
    const house = openHouse(base.path, { ...base.wanted, servers }, async () => undefined)
    await bringUp(house.context())
    await makeTable(house)
    await using ssh = await overSsh(house, sshd)
    await using writer = new Writer(house, 1)
    const { refusedMs, proof } = await switchOver(ssh.context())
    t.diagnostic(`writes refused for ${refusedMs} ms`)
    assert.ok(proof?.isProved)
    assert.deepEqual(await primariesOf(house), ['db2'])
    await writer.stop()
    assert.deepEqual(await lostRows(house, 'db2', [writer]), [])
    await isInOrder(house, 'db2')
  })
})
