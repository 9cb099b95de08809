/**
 * `check`, `verify` and `status` on clusters in which something is wrong: each names it, its cause and its remedy.
 */
import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkCluster } from '../../../src/report/check.ts'
import type { Finding } from '../../../src/report/checks/finding.ts'
import { nagiosLine } from '../../../src/report/checks/nagios.ts'
import { clusterStatus } from '../../../src/report/status.ts'
import { bringUp } from '../../../src/build/up.ts'
import { verifyCluster } from '../../../src/build/verify.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from './house.ts'

const majors = availableMajors().filter((major) => [11, 18].includes(major))

/** The findings of one check that are not ok. */
async function found(house: House, check: string): Promise<readonly Finding[]> {
  const findings = await checkCluster(house.context())
  for (const finding of findings) {
    assert.equal(finding.status === 'ok', finding.cause === undefined, JSON.stringify(finding))
    assert.equal(finding.status === 'ok', finding.remedy === undefined, JSON.stringify(finding))
  }
  return findings.filter((finding) => finding.check === check && finding.status !== 'ok')
}

for (const major of majors) {
  test(`PostgreSQL ${major}: what is wrong is found`, async (t) => {
    await using house = await makeHouse({ major, archive: true })
    const [db1, db2] = house.wanted.servers
    assert.ok(db1 !== undefined && db2 !== undefined)
    await bringUp(house.context())

    await t.test('an archive command that fails, with the words of its last failure', async () => {
      const archive = house.wanted.replication.archiveDirectory ?? ''
      // At the very beginning of a segment pg_walfile_name names the one before, which is archived already.
      await house.query('db1', 'CREATE TABLE t ()')
      const [row] = await house.query('db1', 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS name')
      const segment = String(row?.['name'])
      await writeFile(join(archive, segment), 'something else')
      await house.query('db1', 'SELECT pg_switch_wal()')
      await until('archiving to fail', async () => {
        const [archiver] = await house.query(
          'db1',
          'SELECT failed_count::int AS n FROM pg_stat_archiver',
        )
        return Number(archiver?.['n']) > 0
      })
      const [finding] = await until('the finding', async () => {
        const findings = await found(house, 'archiving')
        return findings.length > 0 && /other content/.test(findings[0]?.cause ?? '') && findings
      })
      assert.equal(finding?.status, 'fail')
      assert.match(
        finding.cause ?? '',
        new RegExp(`archive already holds ${segment} with other content`),
      )
      await rm(join(archive, segment))
    })

    await t.test('a paused replay, which is also no candidate any more', async () => {
      await house.query('db2', 'SELECT pg_wal_replay_pause()')
      assert.equal((await found(house, 'replication.replay')).length, 1)
      assert.match((await found(house, 'takeover.ready'))[0]?.cause ?? '', /replay is paused/)
      const proof = await verifyCluster(house.context(), { timeoutMs: 300 })
      assert.equal(proof.isProved, false)
      assert.match(proof.standbys[0]?.reason ?? '', /not there after 0.3 s/)
      assert.match((await clusterStatus(house.context())).takeover, /No standby could take over/)
      await house.query('db2', 'SELECT pg_wal_replay_resume()')
    })

    await t.test('a clock that is wrong, with host, offset and remedy', async () => {
      const context = house.context()
      const clock = { ...systemClock, now: () => systemClock.now() + 3_660_000 }
      const findings = await checkCluster({ ...context, clock })
      const wrong = findings.filter(({ check }) => check === 'server.clock')
      assert.deepEqual(
        wrong.map(({ server, status }) => [server, status]),
        [
          ['db1', 'fail'],
          ['db2', 'fail'],
        ],
      )
      assert.match(wrong[0]?.found ?? '', /clock of "127\.0\.0\.1" is 1 h 1 min behind/)
      assert.match(wrong[0]?.remedy ?? '', /chrony.*certificates.*restore to a time/)
      assert.deepEqual(await found(house, 'server.clock'), [])
    })

    await t.test('a role that cannot log in', async () => {
      await house.query('db1', 'ALTER ROLE backstay_backup NOLOGIN')
      const findings = await until('both servers to refuse', async () => {
        const refused = await found(house, 'login.backstay_backup')
        return refused.length === 4 && refused
      })
      assert.match(findings[0]?.cause ?? '', /not permitted to log in/)
      assert.match(
        (await found(house, 'settings.drift'))[0]?.found ?? '',
        /correct role "backstay_backup"/,
      )
      await bringUp(house.context())
      assert.deepEqual(await found(house, 'login.backstay_backup'), [])
    })

    await t.test('a setting that waits for a restart, and one ALTER SYSTEM overrides', async () => {
      await house.query('db1', "ALTER SYSTEM SET max_connections = '77'")
      await house.query('db1', 'SELECT pg_reload_conf()')
      const [pending] = await until('the setting to wait', async () => {
        const findings = await found(house, 'settings.pending-restart')
        return findings.length > 0 && findings
      })
      assert.match(pending?.found ?? '', /max_connections/)
      assert.match(
        (await found(house, 'settings.drift'))[0]?.remedy ?? '',
        /ALTER SYSTEM RESET max_connections/,
      )
      await house.query('db1', 'ALTER SYSTEM RESET max_connections')
      await house.query('db1', 'SELECT pg_reload_conf()')
    })

    await t.test('a configuration line PostgreSQL cannot use', async () => {
      const path = join(db2.directory, 'pg_hba.conf')
      const text = await readFile(path, 'utf8')
      await writeFile(path, `${text}host all all nonsense\n`)
      assert.match((await found(house, 'settings.errors'))[0]?.found ?? '', /pg_hba\.conf:\d+/)
      await writeFile(path, text)
    })

    await t.test('a slot that nobody declared and nobody uses', async () => {
      await house.query('db1', "SELECT pg_create_physical_replication_slot('left_over', true)")
      assert.match((await found(house, 'slots.extra'))[0]?.found ?? '', /left_over/)
      await house.query('db1', "SELECT pg_drop_replication_slot('left_over')")
    })

    await t.test('a standby that is gone, for Nagios too', async () => {
      const pid = Number(
        (await readFile(join(db2.directory, 'postmaster.pid'), 'utf8')).split('\n')[0],
      )
      process.kill(pid, 'SIGINT')
      await until('the primary to miss it', async () => {
        const rows = await house.query('db1', 'SELECT 1 FROM pg_stat_replication')
        return rows.length === 0
      })
      const findings = await until('db2 to be stopped', async () => {
        const silent = await found(house, 'server.answers')
        return /stopped/.test(silent[0]?.found ?? '') && silent
      })
      assert.equal(findings[0]?.server, 'db2')
      assert.equal((await found(house, 'replication.attached')).length, 1)
      const { line, exitCode } = nagiosLine(await checkCluster(house.context()))
      assert.equal(exitCode, 2)
      assert.match(line, /^BACKSTAY CRITICAL - .*db2 server.answers: it is stopped/)
      const status = await clusterStatus(house.context())
      assert.equal(status.verdict, 'degraded')
      assert.equal(status.servers[1]?.role, 'standby')
    })

    await t.test('no primary at all', async () => {
      const pid = Number(
        (await readFile(join(db1.directory, 'postmaster.pid'), 'utf8')).split('\n')[0],
      )
      process.kill(pid, 'SIGINT')
      await until('db1 to be gone', async () => (await found(house, 'cluster.primary')).length > 0)
      await assert.rejects(verifyCluster(house.context()), { code: 'PRIMARY_MISSING' })
      assert.equal((await clusterStatus(house.context())).verdict, 'down')
    })
  })
}

test('roles that keep md5 passwords work where the cluster file says md5', async () => {
  await using house = await makeHouse({ major: 15, authentication: 'md5', backup: true })
  await bringUp(house.context())
  assert.ok((await verifyCluster(house.context())).isProved)
  const findings = await checkCluster(house.context())
  assert.deepEqual(
    findings.filter(({ check, status }) => check.startsWith('login.') && status !== 'ok'),
    [],
  )
  assert.deepEqual((await bringUp(house.context())).done, [])
})
