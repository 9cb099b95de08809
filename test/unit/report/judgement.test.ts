/**
 * Status, takeover, checks, the Nagios line and the order of stopping, on found clusters.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { judge } from '../../../src/report/check.ts'
import { archiverMessageIn } from '../../../src/report/checks/archiving.ts'
import type { CheckFacts, Finding } from '../../../src/report/checks/finding.ts'
import { nagiosLine } from '../../../src/report/checks/nagios.ts'
import { stopSteps } from '../../../src/build/down.ts'
import type { ClusterFound } from '../../../src/cluster/found.ts'
import type { SlotFound } from '../../../src/cluster/found-sql.ts'
import { makePlan } from '../../../src/build/plan/plan.ts'
import { replicationOf, answeringPrimary } from '../../../src/cluster/replication.ts'
import { statusOf } from '../../../src/report/status.ts'
import { candidates } from '../../../src/cluster/takeover.ts'
import type { ClusterWanted } from '../../../src/cluster/wanted.ts'
import { toLsn } from '../../../src/postgres/lsn.ts'
import {
  bareServer,
  bend,
  healthy,
  nothing,
  server,
  setting,
  stopped,
  wish,
} from '../cluster/builders.ts'

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
    programs: new Map(),
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

test('with two primaries check never advises to drop a slot, ours or another', () => {
  const found = bend(healthy(wish()), 'db2', ({ sql }) => ({
    sql: { ...sql, inRecovery: false, slots: [slotOf('backstay_db1'), slotOf('cdc')] },
  }))
  const findings = judge(facts(found))
  const extra = findings.filter(({ check, status }) => check === 'slots.extra' && status !== 'ok')
  assert.deepEqual(
    extra.map((finding) => finding.found.includes('"cdc"')),
    [true],
  )
  assert.doesNotMatch(findings.map(({ remedy }) => remedy ?? '').join(), /drop/)
})

test('a lost slot of the backup server has a remedy for a backup server, and the reason of the server', () => {
  const found = bend(healthy(wish()), 'db1', ({ sql }) => ({
    sql: {
      ...sql,
      slots: sql.slots.map((slot) =>
        slot.name === 'backstay_vault'
          ? { ...slot, walStatus: 'lost' as const, invalidationReason: 'idle_timeout' }
          : slot,
      ),
    },
  }))
  const lost = judge(facts(found)).find(({ found: text }) => text.includes('is lost'))
  assert.match(lost?.cause ?? '', /idle_replication_slot_timeout/)
  assert.doesNotMatch(lost?.remedy ?? '', /reclone/)
  assert.match(lost?.remedy ?? '', /backstay backup/)
})

test('a standby is streaming when it says so and the primary does not answer us; the dead one is not called a standby', () => {
  const found = bend(healthy(wish()), 'db1', () => ({ sql: undefined }))
  assert.equal(statusOf(wish(), found, at).servers[1]?.state, 'streaming')
  const lastPrimary = { server: 'db1', timeline: 1, synchronousNames: '' }
  const status = statusOf(wish(), { ...stopped(healthy(wish()), 'db1'), lastPrimary }, at)
  assert.equal(status.lastPrimary, 'db1')
})

test('a standby without room is told to be so, to be given room and not to be waited for, whatever the primary says', () => {
  const tightDisk = { directory: '/srv/wal', freeBytes: 4096 }
  const told = 'no room for WAL, 4.0 kB free in "/srv/wal"'
  const catching = bend(healthy(wish()), 'db1', ({ sql }) => ({
    sql: { ...sql, senders: sql.senders.map((sender) => ({ ...sender, state: 'catchup' })) },
  }))
  const found = bend(catching, 'db2', ({ sql }) => ({
    tightDisk,
    sql: { ...sql, receiver: undefined },
  }))
  const reason = statusOf(wish(), found, at).servers[1]?.reason ?? ''
  assert.ok(reason.startsWith(told), reason)
  const findings = judge(facts(found)).filter(
    ({ server: name, status }) => name === 'db2' && status === 'fail',
  )
  const attached = findings.find(({ check }) => check === 'replication.attached')
  assert.equal(attached?.found, told)
  assert.match(attached.remedy ?? '', /^Free space in "\/srv\/wal"/)
  assert.ok(findings.some(({ check }) => check === 'server.disk'))
  for (const { remedy } of findings) assert.doesNotMatch(remedy ?? '', /wait/i)
})

test('of a standby that does not come up for want of room the plan says so, and leaves the others alone', () => {
  const sqlError = { code: 'NOT_READY', message: 'it is starting up', hint: 'Wait.' } as const
  const tightDisk = { directory: '/srv/db2', freeBytes: 0 }
  const found = bend(healthy(wish()), 'db2', () => ({ sql: undefined, sqlError, tightDisk }))
  const { problems } = makePlan(wish(), found)
  const [problem] = problems
  assert.equal(problem?.code, 'DISK_SPACE')
  assert.equal(problem.severity, 'warning')
  assert.match(problem.message, /no room for WAL, 0 B free in "\/srv\/db2": it is starting up/)
  assert.match(problem.hint, /^Free space/)
})

test('a server that recovers from a restore is no candidate', () => {
  const found = bend(healthy(wish()), 'db2', ({ directory }) => ({
    directory: { ...directory, isStandby: false },
  }))
  const { takeover } = statusOf(wish(), stopped(found, 'db1'), at)
  assert.match(takeover, /No standby could take over: .*recovers from a restore/)
})

function slotOf(name: string): SlotFound {
  const walStatus = 'reserved' as const
  const known = { isPhysical: true, isTemporary: false, isActive: false, walStatus }
  return { name, ...known, restartLsn: undefined, retainedBytes: 1, safeBytes: undefined }
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

  test('of a standby that was attached by hand, without a name, says that it streams', () => {
    const standby = bend(healthy(wish()), 'db2', ({ sql }) => ({
      sql: {
        ...sql,
        settings: new Map([...sql.settings, ['cluster_name', setting('cluster_name', '')]]),
      },
    }))
    const sentTo = (...names: readonly string[]): ClusterFound =>
      bend(standby, 'db1', ({ sql }) => ({
        sql: {
          ...sql,
          senders: sql.senders
            .slice(0, 1)
            .flatMap((row) => names.map((applicationName) => ({ ...row, applicationName }))),
        },
      }))
    const stateOf = (found: ClusterFound): unknown => statusOf(wish(), found, at).servers[1]?.state
    assert.equal(stateOf(sentTo('walreceiver', 'pg_receivewal')), 'streaming')
    assert.equal(stateOf(sentTo('walreceiver', 'walreceiver')), 'detached')
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

  test('has no label twice', () => {
    const { line } = nagiosLine([
      finding({ check: 'slot.one', metrics: { keptBytes: 1 } }),
      finding({ check: 'slot.two', metrics: { keptBytes: 2 } }),
      finding({ check: 'slot.two', metrics: { keptBytes: 3 } }),
      finding({ metrics: { keptBytes: 4 }, server: 'db2' }),
    ])
    assert.equal(
      line.split(' | ')[1],
      "'db1_slot.one_kept'=1B 'db1_slot.two_kept'=2B 'db1_slot.two_kept_2'=3B 'db2_kept'=4B",
    )
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
