/**
 * What every server is given: settings per version, floors, access lines, slots, roles, standby files.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { slotNameOf } from '../../../src/cluster/names.ts'
import { accessLines } from '../../../src/build/plan/access.ts'
import { archiveCommandFor } from '../../../src/cluster/archive-command.ts'
import { rolesWanted } from '../../../src/cluster/wanted-roles.ts'
import { settingsWanted } from '../../../src/cluster/settings.ts'
import { slotsWanted } from '../../../src/cluster/wanted-slots.ts'
import { standbyFileWanted } from '../../../src/build/plan/standby-settings.ts'
import type { ClusterWanted } from '../../../src/cluster/wanted.ts'
import { parseConninfo } from '../../../src/postgres/conninfo.ts'
import { settingsOf } from '../../../src/postgres/conf-file.ts'
import { parseHba } from '../../../src/postgres/hba-file.ts'
import type { SslWanted } from '../../../src/cluster/wanted.ts'
import type { PostgresMajor } from '../../../src/postgres/version.ts'
import { server, wish, withParameters } from './builders.ts'
import { signalFilePath, standbyFilePath } from '../../../src/cluster/file-paths.ts'
import { wantedServer } from '../../../src/cluster/wanted-server.ts'

const PLAIN = { floors: {}, isSynchronous: true }
const of = (version: PostgresMajor): ClusterWanted =>
  wish({ postgres: { ...wish().postgres, version } })
const settings = (wanted: ClusterWanted, context = PLAIN): Record<string, string> =>
  settingsWanted(wanted, wantedServer(wanted, 'db1'), context)

describe('settings', () => {
  test('spell kept WAL as the version does', () => {
    assert.equal(settings(of(12))['wal_keep_segments'], '4')
    assert.equal(settings(of(12))['wal_keep_size'], undefined)
    assert.equal(settings(of(13))['wal_keep_size'], '64MB')
    assert.equal(settings(of(13))['wal_keep_segments'], undefined)
  })

  test('limit what slots keep from 13 on, where the file says so', () => {
    const limit = { ...wish().replication, maxSlotWalKeepBytes: 2 * 1024 ** 3 }
    assert.equal(settings({ ...of(13), replication: limit })['max_slot_wal_keep_size'], '2048MB')
    assert.equal(settings({ ...of(12), replication: limit })['max_slot_wal_keep_size'], undefined)
    assert.equal(settings(of(18))['max_slot_wal_keep_size'], undefined)
  })

  test("give way to the operator's, and those to the server's own, whatever the case", () => {
    const wanted = withParameters(wish(), { WORK_MEM: '8MB', hot_standby: 'true', work_mem: '9MB' })
    const own = { ...wanted, servers: [server('db1', { parameters: { Work_Mem: '1MB' } })] }
    assert.equal(settings(wanted)['work_mem'], '9MB')
    assert.equal(settings(own)['work_mem'], '1MB')
    assert.equal(settings(own)['hot_standby'], 'true')
  })

  test('rise to the floors of the primary and never fall to them', () => {
    const wanted = withParameters(wish(), { max_connections: '50' })
    const floors = { max_connections: 80, max_wal_senders: 3, max_worker_processes: 8 }
    const raised = settings(wanted, { floors, isSynchronous: true })
    assert.equal(raised['max_connections'], '80')
    assert.equal(raised['max_wal_senders'], '10')
    assert.equal(raised['max_worker_processes'], undefined)
  })

  test('listen to this machine only when nobody else has to come', () => {
    assert.equal(settings(wish())['listen_addresses'], 'localhost')
    const far = wish({ servers: [server('db1', { address: '10.0.0.1' })] })
    assert.equal(settings(far)['listen_addresses'], '*')
  })

  test('leave archiving alone unless a directory is wanted', () => {
    assert.equal(settings(wish())['archive_mode'], undefined)
    const archive = wish({ replication: { ...wish().replication, archiveDirectory: '/a' } })
    assert.equal(settings(archive)['archive_mode'], 'on')
    assert.equal(settings(archive)['archive_command'], archiveCommandFor('/a', 'db1'))
  })

  test('grow with the segment size', () => {
    const big = wish({ postgres: { ...wish().postgres, segmentBytes: 64 * 1024 * 1024 } })
    assert.equal(settings(big)['min_wal_size'], '320MB')
    assert.equal(settings(big)['max_wal_size'], '4096MB')
  })

  test('name the standbys and the receiver a commit waits for, once it may', () => {
    const wanted = wish({
      replication: { ...wish().replication, synchronousStandbys: 2 },
      backup: { ...(wish().backup as NonNullable<ClusterWanted['backup']>), synchronous: true },
      servers: [server('db1', { role: 'primary' }), server('db-2'), server('DB3')],
    })
    assert.equal(settings(wanted)['synchronous_standby_names'], 'ANY 2 ("db-2", "DB3", "vault")')
    const early = settings(wanted, { floors: {}, isSynchronous: false })
    assert.equal(early['synchronous_standby_names'], undefined)
  })
})

describe('access lines', () => {
  test('are lines PostgreSQL takes, ours first, for every major', () => {
    for (const version of [11, 18] as const) {
      const wanted = of(version)
      const operators = { ...wanted.postgres, access: ['host all all 10.0.0.0/8 scram-sha-256'] }
      const lines = accessLines({ ...wanted, postgres: operators }, 'postgres')
      const entries = parseHba(lines.join('\n'), version)
      assert.equal(entries.length, lines.length)
      assert.ok(entries.every(({ kind }) => kind === 'rule'))
      assert.equal(lines.at(-1), 'host all all 10.0.0.0/8 scram-sha-256')
    }
  })

  test('name each other machine once, by address or name', () => {
    const wanted = wish({
      servers: [
        server('db1', { address: '10.0.0.1' }),
        server('db2', { address: 'fd00::2' }),
        server('db3', { address: 'db3.example.org' }),
        server('db4', { address: '10.0.0.1' }),
      ],
    })
    const lines = accessLines(wanted, 'postgres').filter((line) =>
      line.includes('host replication "backstay_r'),
    )
    assert.deepEqual(
      lines.map((line) => line.split(' ')[3]),
      ['samehost', '10.0.0.1/32', 'fd00::2/128', 'db3.example.org'],
    )
  })

  test('quote names, so that a role called "all" is only itself', () => {
    const wanted = wish({ replication: { ...wish().replication, role: 'all' } })
    assert.ok(accessLines(wanted, 'postgres').includes('local replication "all" scram-sha-256'))
  })

  test('take md5 where the file says so', () => {
    const wanted = wish({ postgres: { ...wish().postgres, authentication: 'md5' } })
    assert.ok(accessLines(wanted, 'somebody').every((line) => line.endsWith(' md5')))
  })
})

describe('roles', () => {
  test('have the least each needs, as the version names it', () => {
    const [replication, backup, stream] = rolesWanted(of(18))
    assert.deepEqual(replication?.execute, [])
    assert.deepEqual(backup?.memberOf, ['pg_monitor', 'pg_checkpoint'])
    assert.ok(backup?.execute.includes('pg_backup_stop(boolean)'))
    assert.deepEqual(stream?.memberOf, [])
    const [, old] = rolesWanted(of(14))
    assert.deepEqual(old?.memberOf, ['pg_monitor'])
    assert.ok(old?.execute.includes('pg_start_backup(text,boolean,boolean)'))
  })
})

describe('one role for two jobs', () => {
  test('is made once, with what both need', () => {
    const { backup, replication } = wish()
    assert.ok(backup !== undefined)
    const wanted = wish({
      backup: { ...backup, backupRole: replication.role, streamRole: 'stream' },
    })
    const [both, stream] = rolesWanted(wanted)
    assert.equal(both?.connectionLimit, -1)
    assert.ok(both.memberOf.includes('pg_monitor'))
    assert.equal(stream?.name, 'stream')
  })
})

describe('slots', () => {
  test('are one for each other server and one for the receiver', () => {
    const wanted = wish({ servers: [server('db1'), server('db2'), server('db3')] })
    assert.deepEqual(
      slotsWanted(wanted, 'db2').map(({ name }) => name),
      ['backstay_db1', 'backstay_db3', 'backstay_vault'],
    )
  })

  test('have names PostgreSQL takes', () => {
    assert.equal(slotNameOf('DB-2.west'), 'backstay_db_2_west')
    assert.equal(slotNameOf('x'.repeat(80)).length, 63)
  })
})

describe('what makes a standby follow', () => {
  const parts = (version: PostgresMajor): ReadonlyMap<string, string> => {
    const wanted = of(version)
    const [primary, standby] = wanted.servers
    assert.ok(primary !== undefined && standby !== undefined)
    return settingsOf(standbyFileWanted(wanted, standby, primary))
  }

  test('names itself, the primary and a password file, and holds no password', () => {
    const conninfo = parseConninfo(parts(18).get('primary_conninfo') ?? '')
    assert.equal(conninfo['application_name'], 'db2')
    assert.equal(conninfo['port'], '20001')
    assert.equal(conninfo['passfile'], '/data/db2.pgpass')
    assert.equal(conninfo['password'], undefined)
    assert.equal(parts(18).get('primary_slot_name'), 'backstay_db2')
  })

  test('says which proof the primary may ask for, in the words its version knows', () => {
    const words = (version: PostgresMajor, ssl?: SslWanted) => {
      const wanted = { ...of(version), ...(ssl === undefined ? {} : { ssl }) }
      const [primary, standby] = wanted.servers
      assert.ok(primary !== undefined && standby !== undefined)
      const text = settingsOf(standbyFileWanted(wanted, standby, primary)).get('primary_conninfo')
      return parseConninfo(text ?? '')
    }
    const none = { rootCert: undefined, cert: undefined, key: undefined }
    assert.equal(words(15)['require_auth'], undefined)
    assert.equal(words(16)['require_auth'], 'scram-sha-256')
    assert.equal(words(18)['sslmode'], undefined)
    const bound = { ...none, mode: 'require' } as const
    assert.equal(words(12, bound)['channel_binding'], undefined)
    assert.equal(words(13, bound)['channel_binding'], 'require')
    const full = words(18, { mode: 'verify-full', rootCert: '/r', cert: '/c', key: '/k' })
    assert.equal(full['channel_binding'], undefined)
    const { sslmode, sslrootcert, sslcert, sslkey } = full
    assert.deepEqual([sslmode, sslrootcert, sslcert, sslkey], ['verify-full', '/r', '/c', '/k'])
  })

  test('is recovery.conf up to 11, a settings file and a signal from 12 on', () => {
    assert.equal(parts(11).get('standby_mode'), 'on')
    assert.equal(parts(12).get('standby_mode'), undefined)
    const db2 = server('db2')
    assert.equal(standbyFilePath(of(11), db2, '/etc/pg/postgresql.conf'), '/data/db2/recovery.conf')
    assert.equal(
      standbyFilePath(of(12), db2, '/etc/pg/postgresql.conf'),
      '/etc/pg/backstay-standby.conf',
    )
    assert.equal(signalFilePath(of(11), db2), undefined)
    assert.equal(signalFilePath(of(12), db2), '/data/db2/standby.signal')
  })
})
