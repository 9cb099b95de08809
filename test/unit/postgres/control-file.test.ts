import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { parseControlFile } from '../../../src/postgres/control-file.ts'
import { formatLsn, INVALID_LSN } from '../../../src/postgres/lsn.ts'
import { GOLDENS } from '../../fixtures/postgres/golden.ts'

/** Bytes from here on belong to no field, in any version. */
const UNUSED_FROM = 300

suite('pg_control', () => {
  for (const golden of GOLDENS) {
    const bytes = Buffer.from(golden.controlFile, 'base64')

    test(`of PostgreSQL ${golden.major} is read`, () => {
      const control = parseControlFile(bytes)
      assert.equal(control.major, golden.major)
      assert.equal(control.state, 'shut down')
      assert.equal(formatLsn(control.checkpoint.lsn), golden.wal.endLsn)
      assert.equal(control.checkpoint.redoLsn, control.checkpoint.lsn)
      assert.equal(control.checkpoint.timeline, 1)
      assert.equal(control.checkpoint.previousTimeline, 1)
      assert.ok(control.checkpoint.nextXid.xid > golden.events.abort)
      assert.equal(control.minRecoveryLsn, INVALID_LSN)
      assert.deepEqual(control.parameters, {
        walLevel: 'replica',
        walLogHints: false,
        maxConnections: 50,
        maxWorkerProcesses: 8,
        maxWalSenders: golden.major === 11 ? undefined : 10,
        maxPreparedTransactions: 5,
        maxLocksPerTransaction: 64,
        trackCommitTimestamp: true,
      })
      assert.equal(control.blockBytes, 8192)
      assert.equal(control.relationSegmentBlocks, 131_072)
      assert.equal(control.walBlockBytes, 8192)
      assert.equal(control.segmentBytes, 16 * 1024 * 1024)
      assert.equal(control.dataChecksumVersion, 1)
    })

    test(`of PostgreSQL ${golden.major} with any bit flipped is refused`, () => {
      fc.assert(
        fc.property(fc.nat(240 * 8 - 1), (bit) => {
          const damaged = Buffer.from(bytes)
          damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
          assert.throws(
            () => parseControlFile(damaged),
            (error) => isBackstayError(error, 'POSTGRES_FILE_INVALID'),
          )
        }),
      )
    })

    test(`of PostgreSQL ${golden.major} cut short is refused`, () => {
      for (const length of [0, 7, 12, 100, 200]) {
        assert.throws(
          () => parseControlFile(bytes.subarray(0, length)),
          (error) => isBackstayError(error, 'POSTGRES_FILE_INVALID'),
        )
      }
      assert.ok(parseControlFile(bytes.subarray(0, UNUSED_FROM)))
    })
  }

  test('of an unknown version says which', () => {
    const bytes = Buffer.alloc(8192)
    bytes.writeUInt32LE(1002, 8)
    assert.throws(
      () => parseControlFile(bytes),
      (error) => isBackstayError(error) && error.message.includes('version is 1002'),
    )
  })
})
