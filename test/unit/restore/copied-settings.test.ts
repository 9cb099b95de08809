import assert from 'node:assert/strict'
import { test } from 'node:test'
import { warnAboutSettings } from '../../../src/restore/copied-settings.ts'

test('settings that lead a copy to the files of its origin are named', () => {
  const files = new Map([
    [
      'postgresql.conf',
      "data_directory = '/var/lib/origin'\nlog_directory = 'log'\nhba_file = '/data/pg_hba.conf'\n",
    ],
    ['postgresql.auto.conf', "external_pid_file = '/run/origin.pid'\n"],
  ])
  const warnings = warnAboutSettings(files, '/data')
  assert.equal(warnings.length, 2)
  assert.match(warnings[0] ?? '', /data_directory to "\/var\/lib\/origin"/)
  assert.match(warnings[1] ?? '', /external_pid_file to "\/run\/origin.pid"/)
})

test('a backup without postgresql.conf is said, and a file that cannot be read is left to PostgreSQL', () => {
  assert.match(warnAboutSettings(new Map(), '/data')[0] ?? '', /no postgresql.conf/)
  assert.deepEqual(warnAboutSettings(new Map([['postgresql.conf', '= nonsense']]), '/data'), [])
})
