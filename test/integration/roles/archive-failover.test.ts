/**
 * A failover while a receiver and archive_command both store: afterwards neither is refused for ever by what the other stored of the
 * segment in which the timelines part.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failOver, type FailoverOptions } from '../../../src/failover/failover.ts'
import { bringUp } from '../../../src/build/up.ts'
import { readReceiverStatus } from '../../../src/wal/receiver-status.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { archivingHouse } from '../cluster/archiving-house.ts'
import type { House } from '../cluster/house.ts'
import { giveToServer } from '../wal/support.ts'
import { crash, Vault } from './support.ts'
import { lostRows, makeTable, Writer } from './writer.ts'

const CONSENT: FailoverOptions = { allowDataLoss: true, primaryIsDead: true, planOnly: false }

async function switchWal(house: House, server: string): Promise<string> {
  const [row] = await house.query(server, 'SELECT pg_walfile_name(pg_switch_wal()) AS name')
  return String(row?.['name'])
}

/** Waits until archive_command has stored `name`, and the receiver is not behind. */
async function untilBothHave(house: House, vault: Vault, server: string, name: string) {
  await until(
    `${name} to be archived`,
    async () => {
      const [row] = await house.query(
        server,
        `SELECT coalesce(last_archived_wal, '') AS done FROM pg_stat_archiver`,
      )
      return String(row?.['done']) >= name
    },
    120_000,
  )
  const { store, names } = vault.repository
  await until(
    'the receiver to go on',
    async () => {
      const status = await readReceiverStatus(`${store.location}/${names.spool}`)
      return (
        status?.state === 'streaming' && status.timeline === Number.parseInt(name.slice(0, 8), 16)
      )
    },
    120_000,
  )
}

test(
  'after a failover receiver and archive_command both go on',
  { skip: !availableMajors().includes(18) && 'not installed' },
  async () => {
    await using house = await archivingHouse(1)
    await bringUp(house.context())
    await using vault = await Vault.open(house)
    giveToServer(house.wanted.backup?.repository ?? '')
    await makeTable(house)
    await using writer = new Writer(house, 1, 5)
    await until('rows', () => writer.acknowledged.length > 50)
    await untilBothHave(house, vault, 'db1', await switchWal(house, 'db1'))
    await until('more rows', () => writer.acknowledged.length > 100)
    await crash(house, 'db1')
    const result = await failOver(house.context(), CONSENT)
    assert.equal(result.primary, 'db2')
    const after = writer.acknowledged.length
    await until('rows on the new line', () => writer.acknowledged.length > after + 50)
    await untilBothHave(house, vault, 'db2', await switchWal(house, 'db2'))
    await untilBothHave(house, vault, 'db2', await switchWal(house, 'db2'))
    await writer.stop()
    assert.deepEqual(await lostRows(house, 'db2', [writer]), [])
    const partials = await vault.repository.wal.listPartials('00000001')
    assert.ok(partials.length > 0, 'what was unfinished at the failover is held')
  },
)
