import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import {
  type BackupLabel,
  formatBackupLabel,
  parseBackupLabel,
} from '../../../src/postgres/backup-label.ts'
import { type Lsn, parseLsn } from '../../../src/postgres/lsn.ts'

const lsn = (text: string): Lsn => parseLsn(text) ?? assert.fail(text)

const TEXT = [
  'START WAL LOCATION: 0/5000028 (file 000000020000000000000005)',
  'CHECKPOINT LOCATION: 0/5000060',
  'BACKUP METHOD: streamed',
  'BACKUP FROM: standby',
  'START TIME: 2026-11-22 08:30:00 UTC',
  'LABEL: nightly: all of it',
  'START TIMELINE: 2',
  '',
].join('\n')

const LABEL: BackupLabel = {
  startLsn: lsn('0/5000028'),
  startSegment: '000000020000000000000005',
  checkpointLsn: lsn('0/5000060'),
  method: 'streamed',
  from: 'standby',
  startTime: '2026-11-22 08:30:00 UTC',
  label: 'nightly: all of it',
  startTimeline: 2,
}

suite('backup_label', () => {
  test('is read and written as PostgreSQL writes it', () => {
    assert.deepEqual(parseBackupLabel(TEXT), LABEL)
    assert.equal(formatBackupLabel(LABEL), TEXT)
  })

  test('of an incremental backup says what it builds on', () => {
    const text = `${TEXT}INCREMENTAL FROM LSN: 0/3000028\nINCREMENTAL FROM TLI: 1\n`
    const label = { ...LABEL, incrementalFrom: { lsn: lsn('0/3000028'), timeline: 1 } }
    assert.deepEqual(parseBackupLabel(text), label)
    assert.equal(formatBackupLabel(label), text)
  })

  test('as history file says where the backup ended', () => {
    const stop = {
      lsn: lsn('0/5000138'),
      segment: '000000020000000000000005',
      time: '2026-11-22 08:31:00 UTC',
      timeline: 2,
    }
    const text = formatBackupLabel({ ...LABEL, stop })
    assert.match(text, /^START[^\n]*\nSTOP WAL LOCATION: 0\/5000138 \(file /)
    assert.match(text, /STOP TIME: 2026-11-22 08:31:00 UTC\nSTOP TIMELINE: 2\n$/)
    assert.deepEqual(parseBackupLabel(text), { ...LABEL, stop })
  })

  test('line ends of Windows and unknown lines are passed over', () => {
    const text = `${TEXT}SOMETHING NEW: 1\n`.replaceAll('\n', '\r\n')
    assert.deepEqual(parseBackupLabel(text), LABEL)
  })

  for (const [what, from, to] of [
    ['a missing line', 'BACKUP METHOD', 'OTHER'],
    ['a malformed position', '0/5000060', '5000060'],
    ['a malformed segment', '(file 0000', '(file '],
    ['a malformed timeline', 'TIMELINE: 2', 'TIMELINE: x'],
  ] as const) {
    test(`${what} makes it unreadable`, () => {
      assert.throws(
        () => parseBackupLabel(TEXT.replace(from, to)),
        (error) => isBackstayError(error, 'POSTGRES_FILE_INVALID'),
      )
    })
  }
})
