/**
 * Barman's metadata is read as Barman writes it, and what is to be imported is decided without touching anything.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BarmanBackup, parseBarmanBackup } from '../../../src/barman/import/barman-backup.ts'
import { type LookedBackup, planImport } from '../../../src/barman/import/plan-import.ts'
import { parsePythonLiteral } from '../../../src/barman/import/python-literal.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'

/** As Barman 3.17 wrote it. */
const INFO = String.raw`backup_label='START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\nLABEL: it\'s\n'
backup_name=weekly
begin_time=2026-11-22 07:24:45.974966+00:00
begin_xlog=0/3000028
compression=None
copy_stats={'copy_time': 3.592029, 'total_time': 3.592029}
data_checksums=on
encryption=None
end_time=2026-11-22 09:24:49.575920+02:00
end_xlog=0/4000000
parent_backup_id=None
size=23129595
status=DONE
systemid=7710893214954728037
tablespaces=[('ts\\1', 16387, '/srv/a b'), ('t2', 16388, '/srv/ünï')]
timeline=1
version=150018
xlog_segment_size=1048576
`
const PLACE = { id: '20261122T072445', directory: '/b/base/20261122T072445', keep: undefined }

function read(text: string): BarmanBackup {
  const backup = parseBarmanBackup(text, PLACE)
  if (typeof backup === 'string') assert.fail(backup)
  return backup
}

test('a backup.info of Barman 3.17 is read', () => {
  const backup = read(INFO)
  assert.equal(backup.name, 'weekly')
  assert.equal(backup.startLsn, 0x3000028n)
  assert.equal(backup.stopLsn, 0x4000000n)
  assert.equal(backup.startedAt.toISOString(), '2026-11-22T07:24:45.974Z')
  assert.equal(backup.finishedAt.toISOString(), '2026-11-22T07:24:49.575Z')
  assert.equal(backup.systemIdentifier, '7710893214954728037')
  assert.deepEqual([backup.segmentBytes, backup.dataChecksums], [1024 * 1024, true])
  assert.deepEqual([backup.parent, backup.isEncrypted], [undefined, false])
  assert.match(backup.label ?? '', /^START WAL LOCATION: 0\/3000028 .*\nLABEL: it's\n$/)
  assert.deepEqual(backup.tablespaces, [
    { oid: 16387, location: '/srv/a b' },
    { oid: 16388, location: '/srv/ünï' },
  ])
})

test('what cannot be imported says why', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['status=FAILED\n', /Barman calls it FAILED/],
    ['', /Barman calls it unknown/],
    [INFO.replace('0/4000000', 'None'), /where it begins and ends/],
    [INFO.replace('version=150018', ''), /no version/],
    [INFO.replace("[('ts", "[('t's"), /tablespaces cannot be read/],
  ]
  for (const [text, says] of cases) {
    const why = parseBarmanBackup(text, PLACE)
    assert.ok(typeof why === 'string')
    assert.match(why, says)
  }
})

test('Python’s literals of every kind are read, other text is refused', () => {
  assert.deepEqual(parsePythonLiteral(`{'a': [1, -2.5, (True, None)], "b": 'x\\u00e9\\x41'}`), {
    a: [1, -2.5, [true, null]],
    b: 'xéA',
  })
  for (const text of ['', '[1', "'a", '{1: 2}', 'import os', '[1 2]', "'\\q'", '['.repeat(50)]) {
    assert.equal(parsePythonLiteral(text), undefined, text)
  }
})

test('the plan names for every backup what becomes of it', () => {
  const backup = read(INFO)
  const facts = { systemIdentifier: '1', major: 15, segmentBytes: 1, dataChecksums: true }
  const data = { kind: 'plain', directory: '/b', names: [] } as const
  const looked = (id: string, changes: Partial<typeof facts> = {}): LookedBackup => ({
    id,
    backup,
    data,
    facts: { ...facts, ...changes },
  })
  const held = { startLsn: backup.startLsn, stopLsn: backup.stopLsn }
  const plan = planImport(
    [
      looked('20260101T000000'),
      looked('20260102T000000'),
      looked('20260103T000000'),
      looked('20260104T000000', { systemIdentifier: '2' }),
      looked('20260105T000000', { major: 9 }),
      looked('20260201T000000'),
      { id: '20260106T000000', why: 'no data' },
    ],
    {
      systemIdentifier: '1',
      presentId: '20260131T000000',
      held: [
        { ...held, id: '20260102T000000' },
        { ...held, id: '20260103T000000', stopLsn: 0n },
      ] as unknown as BackupInfo[],
    },
  )
  assert.deepEqual(
    plan.map(({ action }) => action),
    ['import', 'present', 'refuse', 'refuse', 'skip', 'wait', 'skip'],
  )
})
