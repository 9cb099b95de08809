/**
 * A failover from a primary without consent to lose anything: WAL that cannot be read to its end is not taken for WAL that ends there.
 */
import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { failOver } from '../../../src/failover/failover.ts'
import { bringUp } from '../../../src/build/up.ts'
import { readReceiverStatus } from '../../../src/wal/receiver-status.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import {
  crash,
  DEAD,
  NOTHING,
  primariesOf,
  stopStandby,
  synchronous,
  Vault,
  withCode,
  without,
} from './support.ts'
import { flipBit, type Tail, writeTail } from './wal-damage.ts'

const SKIP = { skip: !availableMajors().includes(18) && 'not installed' }

function pgWalOf(house: House): string {
  return join(house.wanted.servers[0]?.directory ?? '', 'pg_wal')
}

/** What is done to the WAL of a crashed primary, of which `tail` is the end. */
const DAMAGES: Readonly<Record<string, (folder: string, tail: Tail) => Promise<void>>> = {
  'a bit of a record in its last page is flipped': async (folder, { name, firstOffset }) =>
    flipBit(join(folder, name), firstOffset + 26, 0),
  'a bit of its last record is flipped': async (folder, { name, lastOffset }) =>
    flipBit(join(folder, name), lastOffset + 26, 3),
  'its last record seems to be longer': async (folder, { name, lastOffset }) =>
    flipBit(join(folder, name), lastOffset + 2, 0),
  'a record in its last page seems to be longer': async (folder, { name, firstOffset }) =>
    flipBit(join(folder, name), firstOffset + 2, 0),
  'the last record points back to nowhere': async (folder, { name, lastOffset }) =>
    flipBit(join(folder, name), lastOffset + 10, 1),
  'a bit of the header of its last page is flipped': async (folder, { name, firstOffset }) =>
    flipBit(join(folder, name), firstOffset - (firstOffset % 8192) + 11, 0),
}

describe('PostgreSQL 18: the end of a crashed primary is not proved when', SKIP, () => {
  for (const [what, damage] of Object.entries(DAMAGES)) {
    test(`${what}: nobody is promoted`, async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      await house.query('db1', 'CREATE TABLE t (i int)')
      await house.query('db1', 'CHECKPOINT')
      await house.query('db1', 'INSERT INTO t VALUES (0)')
      const start = await stopStandby(house, 'db2')
      const tail = await writeTail(house)
      await crash(house, 'db1')
      await damage(pgWalOf(house), tail)
      await start()
      await assert.rejects(
        failOver(house.context(), NOTHING),
        withCode('DATA_LOSS', /nobody can say how much/),
      )
      assert.deepEqual(await primariesOf(house), [])
    })
  }

  test('a bit in its last page is flipped: it does not follow where what was confirmed is elsewhere', async () => {
    await using base = await makeHouse({ major: 18, backup: false })
    const house = synchronous(base)
    await bringUp(house.context())
    await house.query('db1', 'CREATE TABLE t (i int)')
    const start = await stopStandby(house, 'db2')
    const tail = await writeTail(house, 'local')
    await crash(house, 'db1')
    await flipBit(join(pgWalOf(house), tail.name), tail.firstOffset + 26, 0)
    await start()
    const { primary, loss, isFollowed, problems } = await failOver(house.context(), NOTHING)
    assert.deepEqual([primary, loss?.kind, isFollowed], ['db2', 'none', false])
    assert.match(problems.map(({ hint }) => hint).join(), /backstay rejoin db1/)
    assert.deepEqual(await primariesOf(house), ['db2'])
  })

  test('its newest segment is missing, but those made ready for later are there', async () => {
    const parameters = { min_wal_size: '160MB' }
    await using house = await makeHouse({ major: 18, backup: false, parameters })
    await bringUp(house.context())
    await house.query('db1', 'CREATE TABLE t (i int)')
    for (let n = 0; n < 5; n += 1) {
      await house.query('db1', 'INSERT INTO t VALUES (0)')
      await house.query('db1', 'SELECT pg_switch_wal()')
    }
    await house.query('db1', 'CHECKPOINT')
    await house.query('db1', 'CHECKPOINT')
    const start = await stopStandby(house, 'db2')
    await house.query('db1', 'SELECT pg_switch_wal()')
    const { name } = await writeTail(house)
    await crash(house, 'db1')
    assert.ok((await readdir(pgWalOf(house))).some((each) => each.length === 24 && each > name))
    await rm(join(pgWalOf(house), name))
    await start()
    await assert.rejects(
      failOver(house.context(), NOTHING),
      withCode('DATA_LOSS', new RegExp(`${name} is missing, but 0000`)),
    )
  })
})

/** Commits confirmed by the backup server alone, which is damaged before the only standby comes back. */
async function failOverFromVault(
  damage: (spool: string, tail: Tail, house: House) => Promise<void>,
): Promise<unknown> {
  await using base = await makeHouse({ major: 18 })
  const house = synchronous(base)
  await bringUp(house.context())
  const vault = await Vault.open(house)
  const { store, names } = vault.repository
  const spool = join(store.location, names.spool)
  await vault.has(1, 1n)
  await bringUp(house.context())
  await house.query('db1', 'CREATE TABLE t (i int)')
  await house.query('db1', 'CHECKPOINT')
  const start = await stopStandby(house, 'db2')
  await house.query('db1', 'INSERT INTO t VALUES (0)')
  await house.query('db1', 'SELECT pg_switch_wal()')
  const tail = await writeTail(house)
  await until('the segment before to be handed over', async () => {
    const files = await readdir(spool)
    return files.filter((file) => /^[0-9A-F]{24}/.test(file)).length === 1
  })
  await crash(house, 'db1')
  await vault[Symbol.asyncDispose]()
  await damage(spool, tail, house)
  await start()
  return await failOver(without(house, 'db1'), DEAD).catch((error: unknown) => error)
}

async function newestIn(spool: string): Promise<string> {
  const files = (await readdir(spool)).filter((file) => /^[0-9A-F]{24}/.test(file)).sort()
  return join(spool, files.at(-1) ?? '')
}

describe('PostgreSQL 18: what the backup server confirmed', SKIP, () => {
  const isRefused = withCode('DATA_LOSS', /but only 1 of them answer/)

  test('is not there when its newest spool file is lost', async () => {
    isRefused(await failOverFromVault(async (spool) => rm(await newestIn(spool))))
  })

  test('is not known when its spool is lost with all it said', async () => {
    isRefused(await failOverFromVault(async (spool) => rm(spool, { recursive: true })))
  })

  test('is not there when a bit in the last page of its spool is flipped', async () => {
    const damage = async (spool: string, { firstOffset }: Tail): Promise<void> =>
      flipBit(await newestIn(spool), firstOffset + 26, 0)
    isRefused(await failOverFromVault(damage))
  })

  test('is not there when its newest spool file is lost and its receiver was started since', async () => {
    const lose = async (spool: string, _tail: Tail, house: House): Promise<void> => {
      await rm(await newestIn(spool))
      await using again = await Vault.open(house)
      await until('the receiver to look for a primary', async () => {
        const { state } = (await readReceiverStatus(spool)) ?? {}
        return state === 'waiting'
      })
      void again
    }
    isRefused(await failOverFromVault(lose))
  })

  test('is there when nothing is damaged', async () => {
    const result = (await failOverFromVault(async () => undefined)) as Awaited<
      ReturnType<typeof failOver>
    >
    assert.deepEqual([result.primary, result.loss?.kind], ['db2', 'none'])
  })
})
