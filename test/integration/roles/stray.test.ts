/**
 * A standby that somebody promoted by mistake has the higher timeline, and is not the primary for that.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { failOver } from '../../../src/failover/failover.ts'
import { rejoinServer } from '../../../src/failover/rejoin.ts'
import { instanceOf } from '../../../src/build/steps/act-context.ts'
import { bringUp } from '../../../src/build/up.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import { promoteServer, startServer, stopServer } from '../../../src/host/postgres-control.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { crash, isInOrder, primariesOf, withCode } from './support.ts'
import { makeTable } from './writer.ts'

const WAIT = { timeoutMs: 30_000 }

function serverOf(house: House, name: string): ServerWanted {
  return house.wanted.servers.find((server) => server.name === name) as ServerWanted
}

/** db2 is promoted beside db1, which goes on with rows of its own. */
async function promoteByMistake(house: House): Promise<void> {
  await makeTable(house)
  await promoteServer(await instanceOf(house.context(), serverOf(house, 'db2')), WAIT)
  await house.query('db2', 'CHECKPOINT')
}

async function stop(house: House, name: string): Promise<void> {
  await stopServer(await instanceOf(house.context(), serverOf(house, name)), WAIT)
}

async function start(house: House, name: string): Promise<void> {
  const server = serverOf(house, name)
  const logFile = `${server.directory}.log`
  await startServer(await instanceOf(house.context(), server), { ...WAIT, logFile })
}

async function notedLeader(house: House): Promise<unknown> {
  const text = await readFile(join(house.wanted.stateDirectory, 'leader.json'), 'utf8')
  return (JSON.parse(text) as { server: string }).server
}

describe(
  'a standby that was promoted by mistake',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('is not started in the place of the last primary, and can be rejoined', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      await promoteByMistake(house)
      await stop(house, 'db2')
      await house.query('db1', 'INSERT INTO acknowledged VALUES (1, 1)')
      assert.equal((await bringUp(house.context())).primary, 'db1')
      await crash(house, 'db1')
      await assert.rejects(
        bringUp(house.context()),
        withCode('SPLIT_BRAIN', /"db2" would start as the primary .*"db1" was it last/),
      )
      assert.deepEqual(await primariesOf(house), [])
      await start(house, 'db1')
      await rejoinServer(house.context(), 'db2')
      await isInOrder(house, 'db1')
      const rows = await house.query('db2', 'SELECT id::int FROM acknowledged')
      assert.deepEqual(rows, [{ id: 1 }])
    })

    test('is not taken for the primary while it runs and the last primary is down', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      await promoteByMistake(house)
      await house.query('db1', 'INSERT INTO acknowledged VALUES (1, 1)')
      await assert.rejects(bringUp(house.context()), withCode('SPLIT_BRAIN'))
      await crash(house, 'db1')
      await assert.rejects(
        bringUp(house.context()),
        withCode('SPLIT_BRAIN', /"db2" runs as the primary .*"db1" was it last/),
      )
      assert.equal(await notedLeader(house), 'db1')
      await start(house, 'db1')
      await rejoinServer(house.context(), 'db2')
      await isInOrder(house, 'db1')
      const rows = await house.query('db2', 'SELECT id::int FROM acknowledged')
      assert.deepEqual(rows, [{ id: 1 }])
    })

    test('is the primary when the operator lets the last one follow it', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      await makeTable(house)
      await crash(house, 'db1')
      await promoteServer(await instanceOf(house.context(), serverOf(house, 'db2')), WAIT)
      await house.query('db2', 'INSERT INTO acknowledged VALUES (2, 2)')
      await assert.rejects(bringUp(house.context()), withCode('SPLIT_BRAIN'))
      await rejoinServer(house.context(), 'db1')
      await isInOrder(house, 'db2')
      assert.equal(await notedLeader(house), 'db2')
    })

    test('is not what a failover leaves: the last primary is', async () => {
      await using house = await makeHouse({ major: 18, backup: false, standbys: 2 })
      await bringUp(house.context())
      await promoteByMistake(house)
      await stop(house, 'db2')
      assert.equal((await bringUp(house.context())).primary, 'db1')
      await crash(house, 'db1')
      const consent = { allowDataLoss: false, primaryIsDead: false, planOnly: true }
      const { plan } = await failOver(house.context(), consent)
      assert.deepEqual([plan?.from.name, plan?.to.name], ['db1', 'db3'])
    })
  },
)
