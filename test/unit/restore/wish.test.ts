import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { describeTarget, targetOf, timelineChoiceOf } from '../../../src/restore/wish.ts'

function usage(work: () => unknown, message: RegExp): void {
  assert.throws(work, (error) => {
    assert.ok(isBackstayError(error, 'USAGE'))
    assert.match(error.message, message)
    return true
  })
}

test('each target option is read, inclusive unless --exclusive', () => {
  assert.deepEqual(targetOf({}), { type: 'none' })
  assert.deepEqual(targetOf({ targetImmediate: true }), { type: 'immediate' })
  assert.deepEqual(targetOf({ targetLsn: '16/B374D848' }), {
    type: 'lsn',
    lsn: 0x16b374d848n,
    inclusive: true,
  })
  assert.deepEqual(targetOf({ targetTime: '2026-11-22 10:00Z', exclusive: true }), {
    type: 'time',
    timeUs: 1_795_341_600_000_000n,
    inclusive: false,
  })
  assert.deepEqual(targetOf({ targetName: 'before the migration' }), {
    type: 'name',
    name: 'before the migration',
  })
})

test('a transaction id of 64 bits is reduced to the 32 that WAL holds', () => {
  assert.deepEqual(targetOf({ targetXid: '8589934599' }), { type: 'xid', xid: 7, inclusive: true })
  usage(() => targetOf({ targetXid: '2' }), /Cannot read "2" as a transaction id/)
  usage(() => targetOf({ targetXid: '-5' }), /transaction id/)
  usage(() => targetOf({ targetXid: '99999999999999999999' }), /transaction id/)
})

test('several targets at once are refused by name', () => {
  usage(
    () => targetOf({ targetTime: '2026-11-22 10:00Z', targetLsn: '0/1', targetImmediate: true }),
    /Cannot restore to --target-time and --target-lsn and --target-immediate at once/,
  )
})

test('--exclusive is refused where there is nothing to leave out', () => {
  usage(() => targetOf({ exclusive: true }), /with the end of WAL/)
  usage(() => targetOf({ targetName: 'x', exclusive: true }), /with --target-name/)
  usage(() => targetOf({ targetImmediate: true, exclusive: true }), /with --target-immediate/)
})

test('what cannot be read is refused with its text', () => {
  usage(() => targetOf({ targetTime: 'noon' }), /Cannot read "noon" as a time/)
  usage(() => targetOf({ targetLsn: '16:1' }), /Cannot read "16:1" as an LSN/)
  usage(() => targetOf({ targetName: 'x'.repeat(64) }), /name of a restore point/)
  usage(() => targetOf({ targetName: "x'\ny" }), /name of a restore point/)
})

test('timelines are numbers, latest or current', () => {
  assert.deepEqual(['latest', 'current', '7'].map(timelineChoiceOf), ['latest', 'current', 7])
  for (const text of ['0', '-1', '1.5', 'newest', '4294967296']) {
    usage(() => timelineChoiceOf(text), /as a timeline/)
  }
})

test('targets are described for people', () => {
  assert.equal(describeTarget(targetOf({})), 'the end of WAL')
  assert.equal(describeTarget(targetOf({ targetXid: '700' })), 'transaction 700')
  assert.equal(describeTarget(targetOf({ targetName: 'x' })), 'restore point "x"')
  assert.equal(describeTarget(targetOf({ targetImmediate: true })), 'the end of the backup')
})
