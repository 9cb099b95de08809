/**
 * What a failover says of WAL that it cannot read to its end, and of standbys on another line: never that nothing is lost.
 * The judge is the client's own log of acknowledged rows.
 */
import assert from 'node:assert/strict'
import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { failOver } from '../../../src/failover/failover.ts'
import { bringUp, bringUpLocked } from '../../../src/build/up.ts'
import type { BackstayError } from '../../../src/errors/backstay-error.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse, openHouse } from '../cluster/house.ts'
import { crash, isInOrder, NOTHING, primariesOf, stopStandby, withCode } from './support.ts'
import { lostRows, makeTable, Writer } from './writer.ts'

/** More than any one read of a directory used to look at. */
const SEGMENTS = 270

/** A house whose WAL segments have 1 MB. */
async function withSmallSegments(
  standbys: number,
  parameters: Readonly<Record<string, string>> = {},
): Promise<{ readonly base: House; readonly house: House }> {
  const base = await makeHouse({ major: 18, backup: false, standbys })
  const postgres = { ...base.wanted.postgres, segmentBytes: 1024 * 1024 }
  const servers = base.wanted.servers.map((server) =>
    server.name === 'db2' ? { ...server, parameters } : server,
  )
  const house = openHouse(base.path, { ...base.wanted, postgres, servers }, async () => undefined)
  return { base, house }
}

/** Rows over many segments, each of which is given up unfinished. */
async function writeSegments(house: House, server: string, count: number): Promise<void> {
  await house.query(server, 'CREATE TABLE numbers (id int)')
  const write = 'INSERT INTO numbers VALUES (n); COMMIT; PERFORM pg_switch_wal();'
  await house.query(server, `DO $$ BEGIN FOR n IN 1..${count} LOOP ${write} END LOOP; END $$`)
}

async function countOn(house: House, server: string): Promise<unknown> {
  return (await house.query(server, 'SELECT max(id) AS count FROM numbers'))[0]?.['count']
}

describe(
  'PostgreSQL 18: WAL that is not all read',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('of a primary far ahead of its standby is given to it whole', async () => {
      const { base, house } = await withSmallSegments(1)
      await using _base = base
      await bringUp(house.context())
      await makeTable(house)
      const start = await stopStandby(house, 'db2')
      await writeSegments(house, 'db1', SEGMENTS)
      await using writer = new Writer(house, 1)
      await until('rows', () => writer.acknowledged.length > 20)
      await crash(house, 'db1')
      await start()
      const result = await failOver(house.context(), NOTHING)
      await writer.stop()
      assert.equal(result.loss?.kind, 'none')
      assert.equal(await countOn(house, 'db2'), SEGMENTS)
      assert.deepEqual(await lostRows(house, 'db2', [writer]), [])
      await isInOrder(house, 'db2')
    })

    test('is given whole to a standby that is kept behind on purpose, too', async () => {
      const { base, house } = await withSmallSegments(1, { recovery_min_apply_delay: '1h' })
      await using _base = base
      await bringUp(house.context())
      await makeTable(house)
      await writeSegments(house, 'db1', SEGMENTS)
      const start = await stopStandby(house, 'db2')
      await using writer = new Writer(house, 1)
      await until('rows', () => writer.acknowledged.length > 20)
      await crash(house, 'db1')
      await start()
      const result = await failOver(house.context(), NOTHING)
      await writer.stop()
      assert.equal(result.loss?.kind, 'none')
      assert.equal(await countOn(house, 'db2'), SEGMENTS)
      assert.deepEqual(await lostRows(house, 'db2', [writer]), [])
    })

    test('because a part of it is damaged is no proof that nothing is lost', async () => {
      const { base, house } = await withSmallSegments(1)
      await using _base = base
      await bringUp(house.context())
      const start = await stopStandby(house, 'db2')
      await writeSegments(house, 'db1', 12)
      await crash(house, 'db1')
      const pgWal = join(house.wanted.servers[0]?.directory ?? '', 'pg_wal')
      const segments = (await readdir(pgWal)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort()
      const file = await open(join(pgWal, segments[6] ?? ''), 'r+')
      await file.write(Buffer.from([0xff]), 0, 1, 40 + 17)
      await file.close()
      await start()
      await assert.rejects(
        failOver(house.context(), NOTHING),
        withCode(
          'DATA_LOSS',
          /nobody can say how much.*can be read up to .*, and there is more of it in 0000/,
        ),
      )
      assert.deepEqual(await primariesOf(house), [])
    })
  },
)

describe(
  'PostgreSQL 18: a standby of an older timeline',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('is refused, and the standby that is right is named and taken', async () => {
      await using house = await makeHouse({ major: 18, backup: false, standbys: 3 })
      await bringUp(house.context())
      await makeTable(house)
      const startOld = await stopStandby(house, 'db3')
      const startRight = await stopStandby(house, 'db4')
      await crash(house, 'db1')
      await rm(house.wanted.servers[0]?.directory ?? '', { recursive: true })
      await house.query('db2', 'SELECT pg_promote()')
      await startRight()
      await bringUpLocked(house.context(), ['db1', 'db3'])
      await using writer = new Writer(house, 1)
      await until('rows on timeline 2', () => writer.acknowledged.length > 20)
      await crash(house, 'db2')
      await startOld()
      await assert.rejects(failOver(house.context(), { ...NOTHING, to: 'db3' }), (error) => {
        const { hint } = error as BackstayError
        assert.match(hint ?? '', /Take the one that is right: backstay failover --to db4/)
        return withCode(
          'DATA_LOSS',
          /"db3" may lack what "db2" committed: it is on timeline 1,/,
        )(error)
      })
      assert.deepEqual(await primariesOf(house), [])
      const result = await failOver(house.context(), NOTHING)
      await writer.stop()
      assert.deepEqual([result.primary, result.loss?.kind], ['db4', 'none'])
      assert.deepEqual(await lostRows(house, 'db4', [writer]), [])
    })
  },
)
