/**
 * A switchover where every server is reached over ssh: nothing but ssh touches its files and processes.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { startSshd, whyNoSshd } from '../../harness/sshd.ts'
import { makeHouse } from '../cluster/house.ts'
import { ADDRESS, overSsh, withAddress } from './over-ssh.ts'
import { isInOrder, primariesOf } from './support.ts'
import { lostRows, makeTable, Writer } from './writer.ts'

function whyNot(): string | false {
  if (!availableMajors().includes(18)) return 'not installed'
  return whyNoSshd() ?? (ADDRESS === undefined ? 'this machine has only its loopback' : false)
}

describe('over ssh', { skip: whyNot() }, () => {
  test('a switchover loses no row and is proved', async (t) => {
    await using sshd = await startSshd()
    await using base = await makeHouse({ major: 18, backup: false })
    const house = withAddress(base)
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
