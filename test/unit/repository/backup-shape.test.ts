import assert from 'node:assert/strict'
import { test } from 'node:test'
import { strangeKey } from '../../../src/repository/backup-shape.ts'

const PAGE = { path: 'base/5/1259', block: 7 }
const BACKUP = {
  id: '20260101T000000',
  cluster: 'shop',
  label: null,
  reference: null,
  fullBecause: null,
  source: { role: 'primary', server: null, host: '/run/postgresql', port: 5432 },
  timeline: 1,
  startLsn: '0/2000028',
  stopLsn: '0/2000120',
  startedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: '2026-01-01T00:01:00.000Z',
  postgres: {
    systemIdentifier: '7714033468110166147',
    major: 18,
    versionNumber: 180_004,
    segmentBytes: 16_777_216,
  },
  tablespaces: [{ oid: 16_393, location: '/srv/fast' }],
  bytes: { database: 1, received: 1, changed: 1, stored: 1 },
  files: 1,
  manifest: { storedBytes: 1, sha256: '00' },
  packs: [{ name: '20260101T000000-000001', storedBytes: 1, rawBytes: 1, liveBytes: 1 }],
  badPages: { count: 1, list: [PAGE] },
}

test('a backup without what only some have is one, and one with it', () => {
  assert.equal(strangeKey(BACKUP), undefined)
  assert.equal(
    strangeKey({ ...BACKUP, tornPages: [PAGE], resumed: ['20251231T000000'] }),
    undefined,
  )
})

test('a key of another shape is none of a backup', () => {
  const strange = {
    source: [null, 'db1', { ...BACKUP.source, host: null }, { ...BACKUP.source, server: 1 }],
    tornPages: [5, null, [5], [{ ...PAGE, block: -1 }]],
    resumed: [5, null, 'x', [5]],
  }
  for (const [key, values] of Object.entries(strange))
    for (const value of values) assert.equal(strangeKey({ ...BACKUP, [key]: value }), key)
})
