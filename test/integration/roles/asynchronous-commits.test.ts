/**
 * Commits that do not wait by the server's default: what `up` sees of it is what a failover goes by, however it came about since.
 */
import assert from 'node:assert/strict'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { failOver } from '../../../src/failover/failover.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { runChecked } from '../../../src/host/run-checked.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { crash, DEAD, stopStandby, synchronous, withCode, without } from './support.ts'

/** Whose commits do not wait, as `up` notes it after `change`. */
async function notedAfter(house: House, change: string): Promise<unknown> {
  await house.query('db1', change)
  await house.query('db1', 'SELECT pg_reload_conf()')
  return await noted(house)
}

async function noted(house: House): Promise<unknown> {
  await bringUp(house.context())
  return (await house.context().state.readLeader())?.asynchronous
}

async function startWithout(house: House): Promise<void> {
  const { postgres, servers } = house.wanted
  const directory = servers[0]?.directory ?? ''
  const program = join(postgres.binaries ?? '', 'pg_ctl')
  const options = ['-D', directory, '-l', `${directory}.log`, '-o', '-c synchronous_commit=off']
  const user = postgres.osUser
  await runChecked(new LocalHost('localhost'), [program, 'start', '-w', ...options], { user })
}

describe(
  'PostgreSQL 18: a failover from a primary whose commits do not wait',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('by a setting made after the first up, or by its command line, is not without loss', async () => {
      await using base = await makeHouse({ major: 18, backup: false })
      const house = synchronous(base)
      await bringUp(house.context())
      assert.deepEqual(await noted(house), [])
      const set = 'ALTER SYSTEM SET synchronous_commit = remote_write'
      assert.deepEqual(await notedAfter(house, set), [''])
      assert.deepEqual(await notedAfter(house, 'ALTER SYSTEM RESET synchronous_commit'), [])
      const file = join(house.wanted.servers[0]?.directory ?? '', 'postgresql.auto.conf')
      await appendFile(file, 'Synchronous_Commit = off\n')
      assert.deepEqual(await notedAfter(house, 'SELECT 1'), [''], 'files spell names as they like')
      assert.deepEqual(await notedAfter(house, 'ALTER SYSTEM RESET synchronous_commit'), [])
      await stopStandby(house, 'db1')
      await startWithout(house)
      assert.deepEqual(await noted(house), [''])
      await crash(house, 'db1')
      await assert.rejects(
        failOver(without(house, 'db1'), DEAD),
        withCode('DATA_LOSS', /its commits did not wait until a standby had them on disk/),
      )
    })
  },
)
