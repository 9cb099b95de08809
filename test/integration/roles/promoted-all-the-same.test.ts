/**
 * What fails once the candidate has become the primary must not end it: the old one is stopped by then, and nobody would serve.
 */
import assert from 'node:assert/strict'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp } from '../../../src/build/up.ts'
import { BackstayError } from '../../../src/errors/backstay-error.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { isInOrder, primariesOf, withCode } from './support.ts'

async function isFinished(house: House): Promise<void> {
  assert.deepEqual(await primariesOf(house), ['db2'])
  const { outcome, primary } = await switchOver(house.context())
  assert.deepEqual([outcome, primary], ['done', 'db2'])
  await isInOrder(house, 'db2')
}

describe(
  'PostgreSQL 18: a switchover whose candidate was promoted',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('leaves it the primary when that cannot be noted', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      const note = join(house.wanted.stateDirectory, 'leader.json')
      const crashPoint = async (name: string): Promise<void> => {
        if (name !== 'before db2.promote') return
        await rm(note)
        await mkdir(note)
      }
      await assert.rejects(switchOver(house.context({ crashPoint }), { to: 'db2' }))
      await rm(note, { recursive: true })
      await isFinished(house)
    })

    test('and that could not be seen to its end lets it serve again', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      const crashPoint = async (name: string): Promise<void> => {
        if (name !== 'after db2.promote') return
        throw new BackstayError('POSTGRES_CONNECTION_LOST', 'the connection broke')
      }
      await assert.rejects(
        switchOver(house.context({ crashPoint }), { to: 'db2' }),
        withCode('UNFINISHED', /"db2" has become the primary, and serves/),
      )
      await isFinished(house)
    })
  },
)
