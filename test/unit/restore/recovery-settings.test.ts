import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toLsn } from '../../../src/postgres/lsn.ts'
import { settingsOf } from '../../../src/postgres/conf-file.ts'
import type { RestorePlan } from '../../../src/restore/plan.ts'
import { doorEndCommand } from '../../../src/restore/door-lines.ts'
import { recoveryFiles, type RecoveryOptions } from '../../../src/restore/recovery-settings.ts'
import { buildWorld } from './timeline-tree.ts'

const OPTIONS: RecoveryOptions = {
  restoreCommand: `node 'it''s' wal get "%f" "%p"`,
  keepArchiving: false,
  port: undefined,
}

function planOf(major: number, change: Partial<RestorePlan> = {}): RestorePlan {
  const [backup] = buildWorld([0]).backups
  assert.ok(backup !== undefined)
  return {
    cluster: 'shop',
    backup: { ...backup, postgres: { ...backup.postgres, major } },
    timeline: backup.timeline,
    path: [{ timeline: 1, from: backup.startLsn, to: undefined }],
    target: { type: 'none' },
    stopAt: { type: 'none' },
    action: 'pause',
    standbyMode: false,
    followsLatest: false,
    wal: { startLsn: backup.startLsn, endLsn: backup.stopLsn, bytes: 0, segments: 0 },
    end: { atLeast: backup.stopLsn, atMost: undefined },
    timeUs: undefined,
    bytesToWrite: 0,
    bytesToRead: 0,
    estimate: { filesMs: 0, walMs: 0 },
    warnings: [],
    ...change,
  }
}

function settings(plan: RestorePlan, options: Partial<RecoveryOptions> = {}): Map<string, string> {
  const { autoConf } = recoveryFiles(plan, { ...OPTIONS, ...options })
  return new Map(settingsOf(autoConf.join('\n')))
}

test('from 12 on a signal file and postgresql.auto.conf hold everything', () => {
  const stopAt = { type: 'time', timeUs: 1_795_341_600_500_000n, inclusive: false } as const
  const plan = planOf(18, { stopAt, timeline: 3, action: 'promote' })
  const { files } = recoveryFiles(plan, OPTIONS)
  assert.deepEqual(files, { 'recovery.signal': '' })
  const found = settings(plan)
  assert.equal(found.get('restore_command'), OPTIONS.restoreCommand)
  assert.equal(found.get('recovery_target_time'), '2026-11-22 10:00:00.500000+00')
  assert.equal(found.get('recovery_target_inclusive'), 'off')
  assert.equal(found.get('recovery_target_timeline'), '3')
  assert.equal(found.get('recovery_target_action'), 'promote')
})

test('targets the origin may have set are taken back before the wanted one is set', () => {
  const stopAt = { type: 'lsn', lsn: toLsn(0x5000028n), inclusive: true } as const
  const names = [...settings(planOf(15, { stopAt })).keys()]
  const wanted = names.indexOf('recovery_target_lsn')
  const others = [
    'recovery_target',
    'recovery_target_name',
    'recovery_target_time',
    'recovery_target_xid',
  ]
  for (const name of others) {
    assert.ok(names.includes(name) && names.indexOf(name) < wanted, name)
  }
})

test('up to 11 recovery.conf holds recovery, and only what it may hold', () => {
  const stopAt = { type: 'xid', xid: 700, inclusive: true } as const
  const { files } = recoveryFiles(planOf(11, { stopAt }), OPTIONS)
  const conf = settingsOf(files['recovery.conf'] ?? assert.fail())
  assert.deepEqual(Object.keys(files), ['recovery.conf'])
  assert.deepEqual(Object.fromEntries(conf), {
    restore_command: OPTIONS.restoreCommand,
    recovery_end_command: doorEndCommand(),
    recovery_target_xid: '700',
    recovery_target_inclusive: 'on',
    recovery_target_action: 'pause',
  })
  const others = settings(planOf(11, { stopAt }))
  assert.ok(![...others.keys()].some((name) => /recovery|primary_/.test(name)))
})

test('a standby keeps following and never promotes by itself', () => {
  const standby = { standbyMode: true, followsLatest: true }
  assert.deepEqual(recoveryFiles(planOf(18, standby), OPTIONS).files, { 'standby.signal': '' })
  const found = settings(planOf(18, standby))
  assert.equal(found.get('recovery_target_timeline'), 'latest')
  assert.equal(found.get('recovery_target_action'), undefined)
  const { files } = recoveryFiles(planOf(11, standby), OPTIONS)
  const conf = settingsOf(files['recovery.conf'] ?? '')
  assert.equal(conf.get('standby_mode'), 'on')
  assert.equal(conf.get('recovery_target_timeline'), 'latest')
})

test('the copy does not archive, waits for nobody and follows nobody, unless it is wished', () => {
  const found = settings(planOf(18))
  assert.equal(found.get('archive_mode'), 'off')
  assert.equal(found.get('archive_command'), '')
  assert.equal(found.get('archive_library'), '')
  assert.equal(found.get('synchronous_standby_names'), '')
  assert.equal(found.get('primary_conninfo'), '')
  assert.equal(found.get('archive_cleanup_command'), '')
  assert.equal(settings(planOf(14)).has('archive_library'), false)
  assert.equal(settings(planOf(18), { keepArchiving: true }).has('archive_mode'), false)
  assert.equal(settings(planOf(18)).has('port'), false)
  assert.equal(settings(planOf(18), { port: 6000 }).get('port'), '6000')
})

test('the own timeline of the backup is called current from 12 on and left out before', () => {
  assert.equal(settings(planOf(12)).get('recovery_target_timeline'), 'current')
  const { files } = recoveryFiles(planOf(11), OPTIONS)
  assert.equal(settingsOf(files['recovery.conf'] ?? '').has('recovery_target_timeline'), false)
})
