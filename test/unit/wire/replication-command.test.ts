import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toLsn } from '../../../src/postgres/lsn.ts'
import {
  createSlotCommand,
  quoteName,
  showCommand,
  startReplicationCommand,
} from '../../../src/wire/replication-command.ts'

describe('replication commands', () => {
  it('create a slot in the spelling of the version', () => {
    assert.equal(
      createSlotCommand('db2', {}, 14),
      'CREATE_REPLICATION_SLOT "db2" PHYSICAL RESERVE_WAL',
    )
    assert.equal(
      createSlotCommand('db2', { temporary: true }, 15),
      'CREATE_REPLICATION_SLOT "db2" TEMPORARY PHYSICAL (RESERVE_WAL)',
    )
    assert.equal(
      createSlotCommand('db2', { reserveWal: false }, 18),
      'CREATE_REPLICATION_SLOT "db2" PHYSICAL',
    )
  })

  it('start streaming with a slot or without', () => {
    const place = { startLsn: toLsn(0x16_b374_d848n), timeline: 3 }
    assert.equal(
      startReplicationCommand(place),
      'START_REPLICATION PHYSICAL 16/B374D848 TIMELINE 3',
    )
    assert.equal(
      startReplicationCommand({ ...place, slot: 'vault' }),
      'START_REPLICATION SLOT "vault" PHYSICAL 16/B374D848 TIMELINE 3',
    )
  })

  it('refuse names that could end the quotes or be another command', () => {
    for (const name of ['', 'Big', 'a"b', 'a b', 'x'.repeat(64), 'é']) {
      assert.throws(() => quoteName(name), { code: 'CONFIG_INVALID' })
    }
    for (const setting of ['', 'a;b', "a'", 'data directory']) {
      assert.throws(() => showCommand(setting), { code: 'CONFIG_INVALID' })
    }
    assert.equal(showCommand('wal_segment_size'), 'SHOW wal_segment_size')
  })
})
