import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type BackupFacts, backupTroubles } from '../../../src/report/backup-troubles.ts'

const NOW = Date.parse('2026-03-10T12:00:00Z')
const MB = 1024 * 1024

type Backup = BackupFacts['backups'][number]

function backup(startedAt: string, storedBytes: number): Backup {
  return {
    startedAt,
    finishedAt: new Date(Date.parse(startedAt) + 600_000).toISOString(),
    bytes: { database: 0, received: 0, changed: 0, stored: storedBytes },
    postgres: { segmentBytes: 16 * MB } as Backup['postgres'],
  }
}

const WELL: BackupFacts = {
  nowMs: NOW,
  schedule: '0 2 * * *',
  backups: [backup('2026-03-10T02:00:00Z', 100 * MB)],
  receiver: { state: 'streaming', error: undefined },
  freeBytes: 10_000 * MB,
}

const said = (change: Partial<BackupFacts>): string =>
  backupTroubles({ ...WELL, ...change }).join('\n')

describe('what is wrong with the backup side', () => {
  test('nothing, when all that was promised is so', () => {
    assert.equal(said({}), '')
    assert.equal(said({ backups: [] }), '')
    assert.equal(said({ receiver: { state: 'waiting', error: undefined } }), '')
  })

  test('a backup that its schedule wanted long ago', () => {
    const old = [backup('2026-01-24T02:00:00Z', MB)]
    assert.match(said({ backups: old }), /began at 2026-01-24.*"0 2 \* \* \*" wanted the next 44/)
    assert.equal(said({ backups: old, schedule: undefined }), '')
  })

  test('one that runs late by less than it takes is not late', () => {
    const nowMs = Date.parse('2026-03-11T03:15:00Z')
    assert.equal(said({ nowMs }), '')
    assert.match(said({ nowMs: nowMs + 3_600_000 }), /wanted the next/)
  })

  test('a disk without room for the next backup, judged by the largest of the newest', () => {
    const backups = [...WELL.backups, backup('2026-03-09T02:00:00Z', 900 * MB)]
    assert.match(
      said({ backups, freeBytes: 1000 * MB }),
      /disk has .* free; the next backup and its WAL need about/,
    )
    assert.equal(said({ backups, freeBytes: 1200 * MB }), '')
  })

  test('a receiver that never ran, does not run, is refused or fails', () => {
    assert.match(said({ receiver: undefined }), /no WAL receiver has run/)
    const error = 'why'
    assert.match(said({ receiver: { state: 'stopped', error } }), /does not run: why; WAL piles up/)
    assert.match(said({ receiver: { state: 'refused', error } }), /is refused: why/)
    assert.match(said({ receiver: { state: 'waiting', error } }), /failed: why/)
    assert.equal(said({ receiver: { state: 'streaming', error } }), '')
  })
})
