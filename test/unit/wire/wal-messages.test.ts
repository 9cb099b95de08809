import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toLsn } from '../../../src/postgres/lsn.ts'
import { decodeKeepalive, decodeWalHeader, encodeStatus } from '../../../src/wire/wal-messages.ts'

/** 2026-11-22T09:30:00Z in PostgreSQL's microseconds. */
const NOW_MS = Date.UTC(2026, 10, 22, 9, 30)
const NOW_HEX = (BigInt(NOW_MS - Date.UTC(2000, 0, 1)) * 1000n).toString(16).padStart(16, '0')

describe('messages of the WAL stream', () => {
  it('WAL data begins with its position', () => {
    const header = Buffer.from(`77000000160b374d80000000160b374e00${NOW_HEX}`, 'hex')
    assert.deepEqual(decodeWalHeader(header), {
      startLsn: toLsn(0x160b374d80n),
      serverEndLsn: toLsn(0x160b374e00n),
      sendTimeMs: NOW_MS,
    })
  })

  it('a keepalive says whether it wants an answer', () => {
    for (const [flag, isReplyRequested] of [
      ['00', false],
      ['01', true],
    ] as const) {
      const message = Buffer.from(`6b00000000030000d8${NOW_HEX}${flag}`, 'hex')
      assert.deepEqual(decodeKeepalive(message), {
        serverEndLsn: toLsn(0x30000d8n),
        sendTimeMs: NOW_MS,
        isReplyRequested,
      })
    }
  })

  it('a status reports what was confirmed, and 0/0 for what was not', () => {
    const progress = { writeLsn: toLsn(0x3000200n), flushLsn: toLsn(0x3000100n) }
    assert.equal(
      encodeStatus(progress, { nowMs: NOW_MS + 0.4, requestReply: true }).toString('hex'),
      `72000000000300020000000000030001000000000000000000${NOW_HEX}01`,
    )
  })
})
