/**
 * What status says of the day the primary is lost.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { statusOf } from '../../../src/report/status.ts'
import type { ClusterFound } from '../../../src/cluster/found.ts'
import { toLsn } from '../../../src/postgres/lsn.ts'
import { bend, healthy, server, setting, wish } from '../cluster/builders.ts'

const trio = wish({ servers: [server('db1', { role: 'primary' }), server('db2'), server('db3')] })
const at = { backup: undefined, takenAt: '2026-11-22T10:00:00.000Z' }

/** Every standby lacks the last 256 bytes. */
function behind(names: string): ClusterFound {
  return bend(healthy(trio), 'db1', ({ sql }) => ({
    sql: {
      ...sql,
      settings: new Map([
        ...sql.settings,
        ['synchronous_standby_names', setting('synchronous_standby_names', names)],
      ]),
      senders: sql.senders.map((sender) => ({ ...sender, flushLsn: toLsn(0x3000000n) })),
    },
  }))
}

test('without synchronous commit the WAL that is on the way would be lost', () => {
  assert.match(statusOf(trio, behind(''), at).takeover, /256 B of WAL would be lost/)
})

test('with it no commit that waited would be', () => {
  const { takeover } = statusOf(trio, behind('ANY 1 ("db2", "db3")'), at)
  assert.match(takeover, /no commit that waited for a standby would be lost/)
})

test('with a backup server among those that confirm, two standbys cannot answer for it', () => {
  const { takeover } = statusOf(trio, behind('ANY 1 ("db2", "db3", "vault")'), at)
  assert.match(takeover, /of WAL would be lost/)
})
