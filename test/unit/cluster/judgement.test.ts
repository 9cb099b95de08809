/**
 * Status, takeover, checks, the Nagios line and the order of stopping, on found clusters.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { judge } from '../../../src/cluster/check.ts'
import { archiverMessageIn } from '../../../src/cluster/checks/archiving.ts'
import type { CheckFacts, Finding } from '../../../src/cluster/checks/finding.ts'
import { nagiosLine } from '../../../src/cluster/checks/nagios.ts'
import { stopSteps } from '../../../src/cluster/down.ts'
import type { ClusterFound } from '../../../src/cluster/found.ts'
import { makePlan } from '../../../src/cluster/plan/plan.ts'
import { replicationOf, answeringPrimary } from '../../../src/cluster/replication.ts'
import { statusOf } from '../../../src/cluster/status.ts'
import { candidates } from '../../../src/cluster/takeover.ts'
import type { ClusterWanted } from '../../../src/cluster/wanted.ts'
import { toLsn } from '../../../src/postgres/lsn.ts'
import { bareServer, bend, healthy, nothing, server, setting, stopped, wish } from './builders.ts'

const NOW = 1_790_000_000_000
const at = { backup: undefined, takenAt: '2026-11-22T10:00:00.000Z' }

function facts(found: ClusterFound, wanted: ClusterWanted = wish()): CheckFacts {
  return {
    wanted,
    found,
    plan: makePlan(wanted, found),
    logins: [],
    freeBytes: new Map([
      ['db1', 100 * 1024 ** 3],
      ['db2', 100 * 1024 ** 3],
    ]),
    archiverMessage: undefined,
    backup: undefined,
  }
}

const bad = (given: CheckFacts): string[] =>
  judge(given)
    .filter(({ status }) => status !== 'ok')
    .map(({ check, server, status }) => `${status} ${check} ${server ?? '-'}`)

function detached(found: ClusterFound): ClusterFound {
  const away = bend(found, 'db2', ({ sql }) => ({ sql: { ...sql, receiver: undefined } }))
  return bend(away, 'db1', ({ sql }) => ({ sql: { ...sql, senders: [] } }))
}

describe('status', () => {
  test('of a healthy cluster says who takes over and that nothing would be lost', () => {
    const status = statusOf(wish(), healthy(wish()), at)
    assert.equal(status.verdict, 'ok')
    assert.match(status.takeover, /"db2" could take over and nothing would be lost/)
    assert.equal(status.servers[1]?.slot?.name, 'backstay_db2')
    assert.deepEqual(
      status.otherSlots.map(({ name }) => name),
      ['backstay_vault'],
    )
  })

  test('after a switchover shows the roles found beside those of the file', () => {
    const [db1, db2] = statusOf(wish(), healthy(wish(), 'db2'), at).servers
    assert.deepEqual([db1?.role, db1?.wantedRole], ['standby', 'primary'])
    assert.deepEqual([db2?.role, db2?.wantedRole], ['primary', 'standby'])
  })

  test('of a detached standby does not call it even', () => {
    const status = statusOf(wish(), detached(healthy(wish())), at)
    assert.equal(status.servers[1]?.state, 'detached')
    assert.match(status.servers[1].reason ?? '', /walreceiver does not run/)
    assert.equal(status.verdict, 'degraded')
    assert.match(status.takeover, /No standby could take over/)
  })

  test('of nothing built is down, and says what is missing', () => {
    const status = statusOf(wish(), nothing(wish()), at)
    assert.equal(status.verdict, 'down')
    assert.deepEqual(
      status.servers.map(({ state }) => state),
      ['missing', 'missing'],
    )
  })

  test('of a stopped cluster still knows the roles', () => {
    const status = statusOf(wish(), stopped(stopped(healthy(wish()), 'db1'), 'db2'), at)
    assert.deepEqual(
      status.servers.map(({ role }) => role),
      ['primary', 'standby'],
    )
  })
})

describe('lag', () => {
  const lagging = (found: ClusterFound): ClusterFound => {
    const behind = toLsn(0x3000000n)
    const standby = bend(found, 'db2', ({ sql }) => ({
      sql: { ...sql, position: { ...sql.position, replayed: behind } },
    }))
    return bend(standby, 'db1', ({ sql }) => ({
      sql: {
        ...sql,
        senders: sql.senders.map((sender) => ({ ...sender, replayLsn: behind, replayLagMs: 700 })),
      },
    }))
  }

  test('is measured from the primary', () => {
    const found = lagging(healthy(wish()))
    const replication = replicationOf(
      answeringPrimary(found),
      found.servers[1] ?? bareServer('x', { state: 'missing' }),
    )
    assert.equal(replication.replayLagBytes, 0x100)
    assert.equal(replication.receiveLagBytes, 0)
    assert.equal(replication.replayLagMs, 700)
  })

  test('of a standby whose walreceiver died is the age of the last commit it knows, not zero', () => {
    const found = bend(detached(healthy(wish())), 'db2', ({ sql }) => ({
      sql: { ...sql, position: { ...sql.position, replayedCommitAtMs: NOW - 90_000 } },
    }))
    const replication = replicationOf(
      answeringPrimary(found),
      found.servers[1] ?? bareServer('x', { state: 'missing' }),
    )
    assert.equal(replication.replayLagMs, 90_000)
  })
})

describe('takeover', () => {
  test('prefers the standby without obstacles, then the one with more WAL', () => {
    const wanted = wish({
      servers: [server('db1', { role: 'primary' }), server('db2'), server('db3')],
    })
    const found = bend(healthy(wanted), 'db2', ({ sql }) => ({
      sql: {
        ...sql,
        position: { ...sql.position, received: toLsn(0x2000000n), replayed: toLsn(0x2000000n) },
      },
    }))
    assert.deepEqual(
      candidates(wanted, found).map(({ server }) => server),
      ['db3', 'db2'],
    )
    const paused = bend(found, 'db3', ({ sql }) => ({
      sql: { ...sql, position: { ...sql.position, isReplayPaused: true } },
    }))
    assert.deepEqual(
      candidates(wanted, paused).map(({ server }) => server),
      ['db2', 'db3'],
    )
  })

  test('is refused to a standby with lower limits, few slots or no way to rewind', () => {
    const found = bend(healthy(wish()), 'db2', ({ sql, directory }) => ({
      directory: { ...directory, control: { ...directory.control, dataChecksumVersion: 0 } },
      sql: {
        ...sql,
        settings: new Map([
          ...sql.settings,
          ['max_connections', setting('max_connections', '10')],
          ['max_replication_slots', setting('max_replication_slots', '1')],
          ['wal_log_hints', setting('wal_log_hints', 'off')],
        ]),
      },
    }))
    assert.equal(candidates(wish(), found)[0]?.obstacles.length, 3)
  })
})

describe('checks', () => {
  test('of a healthy cluster are all ok', () => {
    assert.deepEqual(bad(facts(healthy(wish()))), [])
    assert.ok(judge(facts(healthy(wish()))).length > 25)
  })

  test('find a detached standby at both ends, and what follows from it', () => {
    const found = bad(facts(detached(healthy(wish()))))
    assert.ok(found.includes('fail replication.attached db2'))
    assert.ok(found.includes('fail replication.receiver db2'))
    assert.ok(found.includes('warn takeover.ready db2'))
  })

  test('find another timeline', () => {
    const found = bend(healthy(wish()), 'db2', ({ sql }) => ({ sql: { ...sql, timeline: 2 } }))
    assert.ok(bad(facts(found)).includes('fail replication.timeline db2'))
  })

  test('find a slot that eats the disk, and one the server will give up soon', () => {
    const found = bend(healthy(wish()), 'db1', ({ sql }) => ({
      sql: {
        ...sql,
        slots: sql.slots.map((slot, index) => ({
          ...slot,
          retainedBytes: index === 0 ? 150 * 1024 ** 3 : 0,
          safeBytes: index === 0 ? undefined : 1024,
        })),
      },
    }))
    assert.deepEqual(bad(facts(found)), ['fail slots.budget db1', 'warn slots.budget db1'])
  })

  test('find synchronous commits that nobody confirms', () => {
    const wanted = wish({ replication: { ...wish().replication, synchronousStandbys: 1 } })
    assert.deepEqual(bad(facts(healthy(wanted), wanted)), ['fail replication.synchronous db1'])
    const confirmed = bend(healthy(wanted), 'db1', ({ sql }) => ({
      sql: { ...sql, senders: sql.senders.map((sender) => ({ ...sender, syncState: 'quorum' })) },
    }))
    assert.deepEqual(bad(facts(confirmed, wanted)), [])
  })

  test('find a full disk, clocks apart and connections used up', () => {
    const given = facts(
      bend(healthy(wish()), 'db2', ({ sql }) => ({
        sql: {
          ...sql,
          connections: 99,
          position: { ...sql.position, clockSkewMs: -3_600_000 },
        },
      })),
    )
    const found = bad({ ...given, freeBytes: new Map([['db1', 1024]]) })
    assert.deepEqual(found, [
      'warn server.connections db2',
      'fail server.disk db1',
      'fail server.clock db2',
    ])
  })

  test('say what the backup server says', () => {
    const backup = {
      server: 'vault',
      lastBackup: undefined,
      receiver: undefined,
      window: undefined,
    }
    const given = facts(healthy(wish()))
    assert.deepEqual(bad({ ...given, backup: { ...backup, problems: ['a gap'] } }), [
      'fail backup vault',
    ])
    assert.deepEqual(bad({ ...given, backup: { ...backup, problems: [] } }), ['warn backup vault'])
  })
})

describe('the log of a failed archive command', () => {
  test("is quoted with the command's own words", () => {
    const log = [
      '2026-11-22 10:00:00.000 UTC [7] LOG:  checkpoint complete',
      'archive already holds 000000010000000000000003 with other content',
      '2026-11-22 10:00:01.000 UTC [9] LOG:  archive command failed with exit code 1',
      '2026-11-22 10:00:01.000 UTC [9] DETAIL:  The failed archive command was: p="pg_wal/…"',
    ].join('\n')
    assert.equal(
      archiverMessageIn(log),
      'archive already holds 000000010000000000000003 with other content (archive command failed with exit code 1)',
    )
    assert.equal(archiverMessageIn('nothing here'), undefined)
  })
})

describe('the Nagios line', () => {
  const finding = (change: Partial<Finding>): Finding => ({
    check: 'a.b',
    server: 'db1',
    status: 'ok',
    found: 'fine',
    cause: undefined,
    remedy: undefined,
    metrics: {},
    ...change,
  })

  test('counts what is well and gives numbers with units', () => {
    const { line, exitCode } = nagiosLine([
      finding({ metrics: { lagBytes: 16, delayMs: 2, used: 3 } }),
    ])
    assert.equal(line, "BACKSTAY OK - 1 checks ok | 'db1_lag'=16B 'db1_delay'=2ms 'db1_used'=3")
    assert.equal(exitCode, 0)
  })

  test('puts what fails before what warns, and keeps to one line without bars', () => {
    const { line, exitCode } = nagiosLine([
      finding({ status: 'warn', found: 'slow' }),
      finding({ status: 'fail', server: undefined, found: 'gone |\nfor good' }),
    ])
    assert.equal(line, 'BACKSTAY CRITICAL - cluster a.b: gone / for good; db1 a.b: slow')
    assert.equal(exitCode, 2)
  })
})

describe('down', () => {
  const names = (found: ClusterFound): (string | undefined)[] => {
    const { primaries, standbys } = stopSteps({ wanted: wish() }, found)
    return [...primaries, ...standbys].map(({ server }) => server)
  }

  test('stops the primary first, whoever it is', () => {
    assert.deepEqual(names(healthy(wish())), ['db1', 'db2'])
    assert.deepEqual(names(healthy(wish(), 'db2')), ['db2', 'db1'])
  })

  test('leaves foreign servers alone', () => {
    assert.deepEqual(names({ ...healthy(wish()), identity: undefined }), [])
  })
})
