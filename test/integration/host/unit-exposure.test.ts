/**
 * How much the services could do to the machine, as systemd judges their units.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { postgresUnitText } from '../../../src/host/postgres-unit.ts'
import { systemdUnit } from '../../../src/service/systemd-unit.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const ANALYZE = '/usr/bin/systemd-analyze'
/** Of 10. */
const MOST = 4

const units = {
  PostgreSQL: postgresUnitText({
    cluster: 'shop',
    server: 'db1',
    programs: '/usr/lib/postgresql/15/bin',
    directory: '/var/lib/postgresql/15/shop',
    logFile: '/var/lib/postgresql/15/shop.log',
    osUser: 'postgres',
    role: 'backstay_replication',
    protection: {},
    peers: [],
  }),
  'backstay serve': systemdUnit({
    command: ['/opt/backstay/current/node', '/opt/backstay/current/bin/backstay.js'],
    configFile: '/etc/backstay/shop.yaml',
    user: 'backstay',
    writablePaths: ['/var/lib/backstay'],
  }),
}

for (const [name, text] of Object.entries(units)) {
  const skip = !existsSync(ANALYZE) && 'systemd is not installed'
  test(`the unit of ${name} is exposed below ${MOST} of 10`, { skip }, async () => {
    await using base = temporaryDirectory()
    const file = join(base.path, 'unit.service')
    writeFileSync(file, text)
    const words = ['security', '--offline=yes', '--no-pager', file]
    const { stdout, stderr } = spawnSync(ANALYZE, words, { encoding: 'utf8' })
    const [, level] = /Overall exposure level for unit\.service: ([\d.]+)/.exec(stdout) ?? []
    assert.ok(level !== undefined, stderr)
    assert.ok(Number(level) < MOST, stdout)
  })
}
