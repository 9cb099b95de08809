/**
 * The planner on many found states: what it plans, in which order, and when it refuses.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ClusterFound } from '../../../src/cluster/found.ts'
import type { RoleFound } from '../../../src/cluster/found-sql.ts'
import { makePlan, type Plan } from '../../../src/build/plan/plan.ts'
import type { ClusterWanted } from '../../../src/cluster/wanted.ts'
import { setHbaBlock } from '../../../src/postgres/hba-block.ts'
import {
  bareServer,
  bend,
  controlFile,
  healthy,
  nothing,
  server,
  setting,
  stopped,
  wish,
  withParameters,
} from '../cluster/builders.ts'

const ids = (plan: Plan): string[] => plan.steps.map((step) => step.id)
const codes = (plan: Plan): string[] =>
  plan.problems.map((problem) => `${problem.severity} ${problem.code} ${problem.server ?? '-'}`)
const planOf = (found: ClusterFound, wanted: ClusterWanted = wish()): Plan =>
  makePlan(wanted, found)

test('no secret of a setting, a command or an access line is shown', () => {
  const base = wish()
  const wanted = wish({
    postgres: {
      ...base.postgres,
      parameters: {
        ssl_passphrase_command: 'echo s3cret',
        archive_command: 'push --password s3cret %p',
        'app.api_key': 's3cret',
      },
      access: ['host all all 10.0.0.0/8 ldap ldapserver=x ldapbindpasswd="s3cret"'],
    },
  })
  const { steps, problems } = makePlan(wanted, healthy(wish()))
  const shown = steps.flatMap(({ title, reason, diff }) => [
    title,
    reason,
    ...diff.map(({ text }) => text),
  ])
  assert.ok(
    shown.some((text) => text.startsWith('ssl_passphrase_command')),
    shown.join('\n'),
  )
  assert.ok(shown.some((text) => text.includes('ldapbindpasswd=')))
  assert.doesNotMatch(JSON.stringify([shown, problems]), /s3cret/)
})

describe('a cluster that does not exist', () => {
  test('is built whole: primary first, then clones, in one plan', () => {
    const plan = planOf(nothing(wish()))
    assert.deepEqual(plan.problems, [])
    assert.equal(plan.primary, 'db1')
    assert.deepEqual(ids(plan), [
      'passwords',
      'db1.initdb',
      'db1.passfile',
      'db1.start',
      'db1.role.backstay_replication',
      'db1.role.backstay_backup',
      'db1.role.backstay_stream',
      'db1.slot.backstay_db2',
      'db1.slot.backstay_vault',
      'db2.passfile',
      'db2.clone',
      'db2.start',
      'db2.attach',
    ])
  })

  test('shows in its diff which settings and access lines will be written', () => {
    const [, initdb] = planOf(nothing(wish())).steps
    const texts = initdb?.diff.map((line) => line.text) ?? []
    assert.ok(texts.includes('wal_log_hints = on'))
    assert.ok(texts.includes('local replication "backstay_replication" scram-sha-256'))
  })

  test('without a backup part gets no backup roles and no receiver slot', () => {
    const plan = planOf(nothing(wish({ backup: undefined })), wish({ backup: undefined }))
    assert.ok(!ids(plan).some((id) => /backup|vault|stream$/.test(id)))
  })

  test('is not built over a standby that still has the data', () => {
    const found = bend(stopped(healthy(wish()), 'db2'), 'db1', () =>
      bareServer('db1', { state: 'missing' }),
    )
    const plan = planOf(found)
    assert.deepEqual(codes(plan), ['error PRIMARY_MISSING -'])
    assert.deepEqual(plan.steps, [])
  })

  test('is not built anew when it was built before and all data is gone', () => {
    const found = { ...nothing(wish()), identity: healthy(wish()).identity }
    assert.deepEqual(codes(planOf(found)), ['error DIRECTORY_GONE -'])
  })

  test('is built again where initdb died after it had told its identifier', () => {
    const found = {
      ...healthy(wish()),
      servers: [
        bareServer('db1', { state: 'initdb-unfinished', workerPid: undefined }),
        bareServer('db2', { state: 'missing' }),
      ],
    }
    assert.ok(ids(planOf(found)).includes('db1.initdb'))
  })
})

describe('a healthy cluster', () => {
  test('needs nothing', () => {
    for (const version of [11, 12, 13, 18] as const) {
      const wanted = wish({ postgres: { ...wish().postgres, version } })
      assert.deepEqual(planOf(healthy(wanted), wanted), { steps: [], problems: [], primary: 'db1' })
    }
  })

  test('whose roles were switched needs nothing: what is found wins over the file', () => {
    const plan = planOf(healthy(wish(), 'db2'))
    assert.deepEqual(plan, { steps: [], problems: [], primary: 'db2' })
  })

  test('that is stopped is started, primary first', () => {
    const found = stopped(stopped(healthy(wish()), 'db1'), 'db2')
    assert.deepEqual(ids(planOf(found)), ['db1.start', 'db2.start', 'db2.attach'])
  })

  test('that is stopped after a switchover is started with the roles found', () => {
    const found = stopped(stopped(healthy(wish(), 'db2'), 'db1'), 'db2')
    assert.deepEqual(ids(planOf(found)), ['db2.start', 'db1.start', 'db1.attach'])
  })
})

describe('drift', () => {
  test('a dropped slot is created again', () => {
    const found = bend(healthy(wish()), 'db1', ({ sql }) => ({
      sql: { ...sql, slots: sql.slots.filter((slot) => slot.name !== 'backstay_db2') },
    }))
    assert.deepEqual(ids(planOf(found)), ['db1.slot.backstay_db2'])
  })

  test('a slot the server gave up is made anew', () => {
    const found = bend(healthy(wish()), 'db1', ({ sql }) => ({
      sql: { ...sql, slots: sql.slots.map((slot) => ({ ...slot, walStatus: 'lost' as const })) },
    }))
    const plan = planOf(found)
    assert.deepEqual(ids(plan), ['db1.slot.backstay_db2', 'db1.slot.backstay_vault'])
    assert.match(plan.steps[0]?.reason ?? '', /lost/)
  })

  test('a foreign slot is left alone', () => {
    const found = bend(healthy(wish()), 'db1', ({ sql }) => ({
      sql: {
        ...sql,
        slots: [...sql.slots, { ...sql.slots[0], name: 'somebody', isActive: false } as never],
      },
    }))
    assert.deepEqual(ids(planOf(found)), [])
  })

  test('our slots left on a standby are dropped, foreign and active ones are not', () => {
    const found = bend(healthy(wish()), 'db2', ({ sql }) => {
      const slot = healthy(wish()).servers[0]?.sql?.slots[0] as never as (typeof sql.slots)[number]
      return {
        sql: {
          ...sql,
          slots: [
            { ...slot, name: 'backstay_db1', isActive: false },
            { ...slot, name: 'backstay_vault', isActive: true },
            { ...slot, name: 'somebody', isActive: false },
          ],
        },
      }
    })
    assert.deepEqual(ids(planOf(found)), ['db2.drop-slot.backstay_db1'])
  })

  test('a removed access block is written back and the configuration reloaded', () => {
    const found = bend(healthy(wish()), 'db1', ({ files }) => ({
      files: { ...files, hba: 'local all all scram-sha-256\n' },
    }))
    const plan = planOf(found)
    assert.deepEqual(ids(plan), ['db1.file.hba', 'db1.reload'])
    assert.ok(plan.steps[0]?.diff.every((line) => line.sign === '+'))
  })

  test("a changed access block is put right without touching the operator's lines", () => {
    const before = setHbaBlock('host all all all reject\n', ['local all all trust'], 18)
    const found = bend(healthy(wish()), 'db2', ({ files }) => ({
      files: { ...files, hba: before },
    }))
    const [write] = planOf(found).steps
    assert.ok(write?.action === 'file')
    assert.ok(write.content.endsWith('host all all all reject\n'))
    assert.ok(!write.content.includes('trust'))
  })

  test('damaged marks of the access block are told, and everything else goes on', () => {
    const found = bend(healthy(wish()), 'db1', ({ files, sql }) => ({
      files: { ...files, hba: '# BEGIN backstay\nlocal all all trust\n' },
      sql: { ...sql, slots: [] },
    }))
    const plan = planOf(found)
    assert.deepEqual(codes(plan), ['warning POSTGRES_FILE_INVALID db1'])
    assert.equal(plan.steps.length, 2)
  })

  test('a settings file edited by hand is written anew; a reload is enough for its lines', () => {
    const found = bend(healthy(wish()), 'db1', ({ files }) => ({
      files: { ...files, settings: (files.settings ?? '').replace('64MB', '32MB') },
    }))
    const edited = bend(found, 'db1', ({ sql }) => ({
      sql: {
        ...sql,
        settings: new Map([...sql.settings, ['wal_keep_size', setting('wal_keep_size', '32MB')]]),
      },
    }))
    const plan = planOf(edited)
    assert.deepEqual(ids(plan), ['db1.file.settings', 'db1.reload'])
    assert.deepEqual(plan.steps[0]?.diff, [
      { sign: '-', text: 'wal_keep_size = 32MB' },
      { sign: '+', text: 'wal_keep_size = 64MB' },
    ])
  })

  test('a setting that needs a restart brings one, on the standby before the primary', () => {
    const plan = planOf(healthy(wish()), withParameters(wish(), { max_connections: '200' }))
    assert.deepEqual(ids(plan), [
      'db2.file.settings',
      'db2.restart',
      'db1.file.settings',
      'db1.restart',
      'db2.attach',
    ])
  })

  test('a limit that shrinks is lowered on the primary first and stays high on the standby', () => {
    const big = withParameters(wish(), { max_connections: '200' })
    const control = controlFile()
    const replayed = { ...control.parameters, maxConnections: 200 }
    const found = bend(healthy(big), 'db2', ({ directory }) => ({
      directory: { ...directory, control: { ...directory.control, parameters: replayed } },
    }))
    const plan = planOf(found, withParameters(wish(), { max_connections: '150' }))
    assert.deepEqual(ids(plan), ['db1.file.settings', 'db1.restart', 'db2.attach'])
  })

  test('a setting in the file that is not in force is brought into force', () => {
    const reload = bend(healthy(wish()), 'db1', ({ sql }) => ({
      sql: {
        ...sql,
        settings: new Map([
          ...sql.settings,
          ['log_rotation_age', setting('log_rotation_age', '2d')],
        ]),
      },
    }))
    assert.deepEqual(ids(planOf(reload)), ['db1.reload'])
    const restart = bend(healthy(wish()), 'db1', ({ sql }) => ({
      sql: { ...sql, settings: new Map([...sql.settings, ['port', setting('port', '1')]]) },
    }))
    const plan = planOf(restart)
    assert.deepEqual(ids(plan), ['db1.restart', 'db2.attach'])
    assert.match(plan.steps[0]?.reason ?? '', /port/)
  })

  test('files changed after they were last read are read', () => {
    const found = bend(healthy(wish()), 'db1', ({ files, sql }) => ({
      files: { ...files, modifiedAtMs: sql.configLoadedAtMs + 1 },
    }))
    assert.deepEqual(ids(planOf(found)), ['db1.reload'])
  })

  test('a primary is restarted only once a stopped standby is back', () => {
    const wanted = withParameters(wish(), { max_connections: '200' })
    const plan = planOf(stopped(healthy(wish()), 'db2'), wanted)
    const order = ids(plan).filter((id) => /start|attach/.test(id))
    assert.deepEqual(order, ['db2.start', 'db2.attach', 'db1.restart'])
  })

  test('while a standby cannot be reached the restart waits, and nothing else does', () => {
    const wanted = withParameters(wish(), { max_connections: '200' })
    const found = bend(healthy(wish()), 'db2', () => ({
      hostError: { code: 'HOST_UNREACHABLE', message: 'gone', hint: '' },
      running: undefined,
      sql: undefined,
    }))
    const plan = planOf(found, wanted)
    assert.deepEqual(ids(plan), ['db1.file.settings'])
    const waits = plan.problems.find(({ code }) => code === 'NOT_READY')
    assert.match(waits?.message ?? '', /"db1" needs a restart.*waits until standby "db2"/)
  })

  test('ALTER SYSTEM against the cluster file is told, not undone, and starts no endless restart', () => {
    const found = bend(healthy(wish()), 'db1', ({ files, sql }) => ({
      files: { ...files, autoConf: "wal_level = 'minimal'\nwork_mem = '9MB'\n" },
      sql: {
        ...sql,
        settings: new Map([...sql.settings, ['wal_level', setting('wal_level', 'minimal')]]),
      },
    }))
    const plan = planOf(found)
    assert.deepEqual(ids(plan), [])
    assert.deepEqual(codes(plan), ['warning DRIFT db1'])
    assert.match(plan.problems[0]?.hint ?? '', /ALTER SYSTEM RESET wal_level/)
  })

  test('a dropped role is created and a changed one corrected, right by right', () => {
    const found = bend(healthy(wish()), 'db1', ({ sql }) => ({
      sql: {
        ...sql,
        roles: sql.roles.flatMap((role): RoleFound[] => {
          if (role.name === 'backstay_stream') return []
          if (role.name === 'backstay_replication') {
            return [{ ...role, password: 'other', connectionLimit: -1 }]
          }
          return [{ ...role, memberOf: [], mayExecute: [] }]
        }),
      },
    }))
    const plan = planOf(found)
    assert.deepEqual(ids(plan), [
      'db1.role.backstay_replication',
      'db1.role.backstay_backup',
      'db1.role.backstay_stream',
    ])
    assert.deepEqual(
      plan.steps[0]?.diff.map((line) => line.text),
      ['CONNECTION LIMIT -1 → 10', 'password: set to the one in the password file'],
    )
    assert.ok(plan.steps[1]?.diff.some((line) => line.text === 'GRANT pg_monitor'))
  })

  test('a role that somebody made superuser keeps it', () => {
    const found = bend(healthy(wish()), 'db1', ({ sql }) => ({
      sql: {
        ...sql,
        roles: sql.roles.map((role) => ({
          ...role,
          isSuperuser: true,
          memberOf: [],
          mayExecute: [],
        })),
      },
    }))
    assert.deepEqual(ids(planOf(found)), [])
  })

  test('a standby pointed elsewhere is pointed back: reload from 13 on, restart before', () => {
    for (const [version, effect] of [
      [13, 'reload'],
      [12, 'restart'],
      [11, 'restart'],
    ] as const) {
      const wanted = wish({ postgres: { ...wish().postgres, version } })
      const found = bend(healthy(wanted), 'db2', ({ files, sql }) => ({
        files: { ...files, standby: (files.standby ?? '').replace('port=20001', 'port=1') },
        sql: { ...sql, receiver: undefined },
      }))
      assert.deepEqual(ids(planOf(found, wanted)), [
        'db2.file.standby',
        `db2.${effect}`,
        'db2.attach',
      ])
    }
  })

  test('primary_conninfo set by ALTER SYSTEM is told', () => {
    const found = bend(healthy(wish()), 'db2', ({ files }) => ({
      files: { ...files, autoConf: "primary_conninfo = 'host=elsewhere port=1 password=secret'\n" },
    }))
    const plan = planOf(found)
    assert.deepEqual(codes(plan), ['warning DRIFT db2'])
    assert.doesNotMatch(JSON.stringify(plan), /secret/)
  })

  test('a stopped standby without its signal file gets it back before it is started', () => {
    const found = bend(stopped(healthy(wish()), 'db2'), 'db2', ({ directory }) => ({
      directory: { ...directory, isStandby: false },
    }))
    assert.deepEqual(ids(planOf(found)), ['db2.signal-file', 'db2.start', 'db2.attach'])
  })

  test('a lost password file is written again', () => {
    const found = bend(healthy(wish()), 'db2', ({ files }) => ({
      files: { ...files, passfile: 'missing' },
    }))
    assert.deepEqual(ids(planOf(found)), ['db2.passfile'])
  })

  test('a primary nobody can log in to because the access block is gone is cured by files alone', () => {
    const found = bend(healthy(wish()), 'db1', ({ files }) => ({
      files: { ...files, hba: 'local all all reject\n' },
      sql: undefined,
      sqlError: { code: 'POSTGRES_HBA', message: 'no entry', hint: '' },
    }))
    const plan = planOf(found)
    assert.deepEqual(codes(plan), [])
    assert.deepEqual(ids(plan).slice(0, 2), ['db1.file.hba', 'db1.reload'])
  })
})

describe('standbys', () => {
  test('one that runs but does not answer is told, and nothing waits for it', () => {
    const found = bend(healthy(wish()), 'db2', () => ({
      sql: undefined,
      sqlError: { code: 'POSTGRES_UNREACHABLE', message: 'it recovers', hint: '' },
    }))
    const plan = planOf(found)
    assert.deepEqual(codes(plan), ['warning POSTGRES_UNREACHABLE db2'])
    assert.deepEqual(ids(plan), [])
  })

  test('a new one in the file is cloned while the others stay as they are', () => {
    const wanted = wish({ servers: [...wish().servers, server('db3')] })
    const found = healthy(wish())
    const bigger = {
      ...found,
      servers: [...found.servers, bareServer('db3', { state: 'missing' })],
    }
    assert.deepEqual(ids(planOf(bigger, wanted)), [
      'db1.slot.backstay_db3',
      'db3.passfile',
      'db3.clone',
      'db3.start',
      'db3.attach',
    ])
  })

  test('a half-finished clone is redone', () => {
    const found = bend(healthy(wish()), 'db2', () =>
      bareServer('db2', { state: 'clone-unfinished', tablespaces: [] }),
    )
    const plan = planOf(found)
    assert.match(plan.steps.find((step) => step.id === 'db2.clone')?.reason ?? '', /did not finish/)
  })

  test('a former primary beside the new one is told, never started', () => {
    const found = bend(stopped(healthy(wish(), 'db2'), 'db1'), 'db1', ({ directory }) => ({
      directory: {
        ...directory,
        isStandby: false,
        control: { ...directory.control, state: 'in production' },
      },
    }))
    const plan = planOf(found)
    assert.deepEqual(codes(plan), ['warning SPLIT_BRAIN db1'])
    assert.deepEqual(ids(plan), [])
  })

  test('of two stopped primaries the one on the newer timeline leads', () => {
    const found = bend(
      stopped(stopped(healthy(wish(), 'db1'), 'db1'), 'db2'),
      'db2',
      ({ directory }) => ({
        directory: {
          ...directory,
          isStandby: false,
          timeline: 2,
          control: { ...directory.control, state: 'shut down' },
        },
      }),
    )
    const plan = planOf(found)
    assert.equal(plan.primary, 'db2')
    assert.deepEqual(codes(plan), ['warning SPLIT_BRAIN db1'])
    assert.ok(!ids(plan).includes('db1.start'))
  })

  test('two running primaries stop everything', () => {
    const found = bend(healthy(wish()), 'db2', ({ sql }) => ({
      sql: { ...sql, inRecovery: false },
    }))
    const plan = planOf(found)
    assert.deepEqual(codes(plan), ['error SPLIT_BRAIN -'])
    assert.deepEqual(plan.steps, [])
  })

  test('a standby on a newer timeline than its primary is told', () => {
    const found = bend(healthy(wish()), 'db2', ({ directory }) => ({
      directory: { ...directory, timeline: 2 },
    }))
    assert.deepEqual(codes(planOf(found)), ['warning POSTGRES_IDENTITY db2'])
  })

  test('a directory set aside goes only when the new standby streams', () => {
    const aside = bend(healthy(wish()), 'db2', () => ({ asides: ['/data/db2.old'] }))
    const [step] = planOf(aside).steps
    assert.equal(step?.id, 'db2.remove-aside')
    assert.equal(step.isDestructive, true)
    assert.ok(!ids(planOf(stopped(aside, 'db2'))).includes('db2.remove-aside'))
  })
})

describe('synchronous commit', () => {
  const wanted = wish({ replication: { ...wish().replication, synchronousStandbys: 1 } })

  test('is not asked for while a cluster is being built', () => {
    const [, initdb] = planOf(nothing(wanted), wanted).steps
    assert.ok(!initdb?.diff.some((line) => line.text.includes('synchronous_standby_names')))
  })

  test('is asked for once enough standbys stream', () => {
    const plan = planOf(healthy(wish()), wanted)
    const write = plan.steps.find((step) => step.id === 'db1.file.settings')
    assert.ok(write?.diff.some((line) => line.text.includes('ANY 1 ("db2")')))
  })

  test('is not taken back when the standbys are away', () => {
    const found = stopped(healthy(wanted), 'db2')
    const alone = bend(found, 'db1', ({ sql }) => ({ sql: { ...sql, senders: [] } }))
    assert.ok(!ids(planOf(alone, wanted)).includes('db1.file.settings'))
  })
})

describe('bad input changes nothing', () => {
  const refusal = (found: ClusterFound, wanted?: ClusterWanted): string[] => {
    const plan = planOf(found, wanted)
    assert.deepEqual(plan.steps, [])
    return codes(plan)
  }

  test('a receiver that would share a standby’s slot', () => {
    const backup = {
      ...(wish().backup as NonNullable<ClusterWanted['backup']>),
      slot: 'backstay_db2',
    }
    assert.deepEqual(refusal(nothing(wish()), wish({ backup })), ['error CONFIG_INVALID vault'])
  })

  test('a port in use names who has it', () => {
    const found = bend(nothing(wish()), 'db1', () => ({ portTakenBy: 'nginx (pid 7)' }))
    assert.deepEqual(refusal(found), ['error PORT_IN_USE db1'])
    assert.match(planOf(found).problems[0]?.message ?? '', /nginx \(pid 7\)/)
  })

  test('a directory with foreign content', () => {
    const found = bend(nothing(wish()), 'db2', () => ({
      directory: { state: 'foreign', content: 'it holds "a", "b"' },
    }))
    assert.deepEqual(refusal(found), ['error DIRECTORY_FOREIGN db2'])
  })

  test('a PostgreSQL cluster that Backstay did not build', () => {
    const found = { ...healthy(wish()), identity: undefined }
    assert.deepEqual(refusal(found), ['error DIRECTORY_FOREIGN db1', 'error DIRECTORY_FOREIGN db2'])
  })

  test('a standby of another system identifier', () => {
    const found = bend(healthy(wish()), 'db2', ({ directory }) => ({
      directory: { ...directory, control: controlFile({ systemIdentifier: '1' }) },
    }))
    assert.deepEqual(refusal(found), ['error POSTGRES_IDENTITY db2'])
  })

  test('a data directory of another major version', () => {
    const found = bend(healthy(wish()), 'db1', ({ directory }) => ({
      directory: { ...directory, major: 17 },
    }))
    assert.deepEqual(refusal(found), ['error POSTGRES_VERSION db1'])
  })

  test('a wrong owner, a wrong mode', () => {
    const owner = bend(healthy(wish()), 'db1', ({ directory }) => ({
      directory: { ...directory, owner: 'root' },
    }))
    assert.deepEqual(refusal(owner), ['error DIRECTORY_OWNER db1'])
    const mode = bend(healthy(wish()), 'db1', ({ directory }) => ({
      directory: { ...directory, mode: 0o755 },
    }))
    assert.deepEqual(refusal(mode), ['error DIRECTORY_OWNER db1'])
  })

  test('a version that is not installed', () => {
    const found = bend(nothing(wish()), 'db1', () => ({
      binaries: { code: 'BINARIES_MISSING', message: 'found 15', hint: '' },
    }))
    assert.deepEqual(refusal(found), ['error BINARIES_MISSING db1'])
  })

  test('too little room for a clone, and a tablespace directory in use', () => {
    const found = bend(healthy(wish()), 'db2', () => ({
      ...bareServer('db2', { state: 'missing' }),
      room: {
        shortages: [{ path: '/data/db2', neededBytes: 2e9, freeBytes: 1e9 }],
        tablespaces: [{ source: '/ts', target: '/ts', isOccupied: true }],
      },
    }))
    assert.deepEqual(refusal(found), ['error DIRECTORY_FOREIGN db2', 'error DISK_SPACE db2'])
  })

  test('a tablespace the cluster file does not speak of', () => {
    const why = 'is named nowhere in the cluster file'
    const found = bend(healthy(wish()), 'db2', () => ({
      ...bareServer('db2', { state: 'missing' }),
      room: {
        shortages: [],
        tablespaces: [{ source: '/etc/ssh', target: '', isOccupied: false, why }],
      },
    }))
    assert.deepEqual(refusal(found), ['error DIRECTORY_FOREIGN db2'])
  })

  test('a wrong superuser password', () => {
    const found = bend(healthy(wish()), 'db1', () => ({
      sql: undefined,
      sqlError: { code: 'POSTGRES_AUTH', message: 'no', hint: '' },
    }))
    assert.deepEqual(refusal(found), ['error POSTGRES_AUTH db1'])
  })

  test('a kept superuser password that is lost', () => {
    const found = { ...healthy(wish()), passwordRoles: [] }
    assert.deepEqual(refusal(found), ['error POSTGRES_AUTH -'])
  })

  test('no free slot or sender for what is missing', () => {
    const found = bend(healthy(wish()), 'db1', ({ sql }) => ({
      sql: {
        ...sql,
        slots: Array.from(
          { length: 10 },
          (_, index) => ({ ...sql.slots[0], name: `x${index}` }) as never,
        ),
        senders: Array.from(
          { length: 10 },
          (_, index) => ({ ...sql.senders[0], applicationName: `x${index}` }) as never,
        ),
      },
    }))
    const wanted = withParameters(wish(), { max_replication_slots: '10', max_wal_senders: '10' })
    assert.deepEqual(refusal(found, wanted), [
      'error POSTGRES_LIMIT db1',
      'error POSTGRES_LIMIT db1',
    ])
  })

  test('a silent host while nobody is known to be primary', () => {
    const found = bend(stopped(healthy(wish()), 'db1'), 'db2', () => ({
      ...bareServer('db2', { state: 'unknown' }),
      hostError: { code: 'HOST_UNREACHABLE', message: 'no route', hint: '' },
    }))
    assert.ok(refusal(found).includes('error HOST_UNREACHABLE db2'))
  })

  test('a silent host beside a running primary is a warning only', () => {
    const found = bend(healthy(wish()), 'db2', () => ({
      ...bareServer('db2', { state: 'unknown' }),
      hostError: { code: 'HOST_UNREACHABLE', message: 'no route', hint: '' },
    }))
    assert.deepEqual(codes(planOf(found)), ['warning HOST_UNREACHABLE db2'])
  })
})
