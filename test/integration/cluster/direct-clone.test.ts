/**
 * A standby on another machine is cloned by Backstay over there, straight from the primary; where that cannot be, by the operator's.
 */
import assert from 'node:assert/strict'
import { chownSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { ClusterEvent } from '../../../src/cluster/context.ts'
import { recloneStandby } from '../../../src/failover/reclone.ts'
import { bringUp, planCluster } from '../../../src/build/up.ts'
import { startSshd } from '../../harness/sshd.ts'
import { makeHouse, openHouse } from './house.ts'
import {
  onOtherMachines,
  openOperator,
  type OperatorOrder,
  whyNoRemoteHouse,
} from './remote-house.ts'

function notesOf(events: readonly ClusterEvent[]): readonly string[] {
  return events.flatMap((event) => (event.kind === 'note' ? [event.text] : []))
}

describe('a standby on another machine', { skip: whyNoRemoteHouse() }, () => {
  test('up puts Backstay there once and clones, tablespaces included', async () => {
    await using sshd = await startSshd()
    await using base = await makeHouse({ major: 18, backup: false })
    const wanted = onOtherMachines(base.wanted)
    const house = openHouse(base.path, wanted, async () => undefined)
    const order: OperatorOrder = { wanted, ssh: sshd, folder: join(sshd.directory, 'backstay') }
    const events: ClusterEvent[] = []
    await using operator = await openOperator(order, (event) => void events.push(event))
    const [db1] = wanted.servers
    assert.ok(db1 !== undefined)
    await using first = await openOperator({ ...order, wanted: { ...wanted, servers: [db1] } })
    await bringUp(first.context())
    assert.equal(existsSync(order.folder), false, 'a primary needs no Backstay')
    await makeTablespace(base.path, async (sql) => house.query('db1', sql))

    const { plan } = await planCluster(operator.context())
    const actions = plan.steps.filter(({ server }) => server === 'db2').map(({ action }) => action)
    assert.ok(
      actions.indexOf('package') >= 0 && actions.indexOf('package') < actions.indexOf('clone'),
    )
    await bringUp(operator.context())
    assert.deepEqual(notesOf(events), [])
    assert.equal(readdirSync(order.folder).length, 1)
    const rows = await house.query('db2', 'SELECT count(*)::int AS n FROM far')
    assert.deepEqual(rows, [{ n: 1000 }])
    assert.ok(readdirSync(join(base.path, 'ts2')).length > 0)
    assert.equal(existsSync(join(base.path, 'db2', 'backstay-clone.json')), false)

    events.length = 0
    await recloneStandby(operator.context(), 'db2', { discardOld: false })
    const ids = events.flatMap((event) => (event.kind === 'step-started' ? [event.id] : []))
    assert.ok(ids.includes('db2.clone') && !ids.includes('db2.package'), ids.join(' '))
  })

  test('a machine of another kind is to be cloned to through the operator, and the plan says why', async () => {
    await using sshd = await startSshd()
    await using base = await makeHouse({ major: 18, backup: false })
    const wanted = onOtherMachines(base.wanted)
    const folder = join(sshd.directory, 'backstay')
    await using operator = await openOperator({ wanted, ssh: sshd, folder, architecture: 'vax' })
    const { plan } = await planCluster(operator.context())
    const clone = plan.steps.find(({ action }) => action === 'clone')
    assert.match(clone?.reason ?? '', /through this machine: .* of kind \w+, this one is vax/)
    assert.ok(!plan.steps.some(({ action }) => action === 'package'))
  })

  test('a Backstay that does not start there is told of, and the clone goes through the operator', async () => {
    await using sshd = await startSshd()
    await using base = await makeHouse({ major: 18, backup: false })
    const wanted = onOtherMachines(base.wanted)
    const folder = join(sshd.directory, 'backstay')
    const events: ClusterEvent[] = []
    const order = { wanted, ssh: sshd, folder, program: '/bin/false' }
    await using operator = await openOperator(order, (event) => void events.push(event))
    await bringUp(operator.context())
    const [install = '', clone = ''] = notesOf(events)
    assert.match(install, /^Cannot install Backstay on "there": it does not run there/)
    assert.match(
      clone,
      /^Backstay does not run on "there" \(.*\): every byte .* through this machine/,
    )
  })

  test('what goes wrong there is reported under its own code, and nothing is left behind', async () => {
    await using sshd = await startSshd()
    await using base = await makeHouse({ major: 18, backup: false })
    const wanted = onOtherMachines(base.wanted)
    const house = openHouse(base.path, wanted, async () => undefined)
    const order: OperatorOrder = { wanted, ssh: sshd, folder: join(sshd.directory, 'backstay') }
    const [db1] = wanted.servers
    assert.ok(db1 !== undefined)
    await using first = await openOperator({ ...order, wanted: { ...wanted, servers: [db1] } })
    await bringUp(first.context())
    const events: ClusterEvent[] = []
    await using operator = await openOperator(order, (event) => {
      events.push(event)
      const isPassfile = event.kind === 'step-done' && event.id === 'db2.passfile'
      if (isPassfile) mkdirSync(join(base.path, 'ts2', 'foreign'), { recursive: true })
    })
    await makeTablespace(base.path, async (sql) => house.query('db1', sql))
    await assert.rejects(bringUp(operator.context()), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'DIRECTORY_FOREIGN')
      assert.match(error.message, /tablespace directory ".*ts2" holds "foreign" already/)
      return true
    })
    assert.deepEqual(readdirSync(join(base.path, 'db2')), [])
    assert.deepEqual(readdirSync(join(base.path, 'ts2')), ['foreign'])
  })
})

async function makeTablespace(
  path: string,
  query: (sql: string) => Promise<unknown>,
): Promise<void> {
  const { uid, gid } = statSync(join(path, 'db1'))
  mkdirSync(join(path, 'ts'))
  chownSync(join(path, 'ts'), uid, gid)
  await query(`CREATE TABLESPACE far LOCATION '${join(path, 'ts')}'`)
  await query('CREATE TABLE far TABLESPACE far AS SELECT g FROM generate_series(1, 1000) g')
}
