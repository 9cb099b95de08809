/**
 * postgresql.conf as we read and write it, against what servers of the oldest and the newest major make of it.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { settingsOf } from '../../../src/postgres/conf-file.ts'
import { scanConf } from '../../../src/postgres/conf-scanner.ts'
import { type ConfReader, readConfTree } from '../../harness/conf-tree.ts'
import {
  ensureManagedInclude,
  findAutoConfOverrides,
  formatManagedConf,
  MANAGED_CONF_NAME,
} from '../../../src/postgres/managed-conf.ts'
import { sameSettingValue } from '../../../src/postgres/setting-value.ts'
import { availableMajors, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'

const MAJORS = availableMajors().filter((major) => [11, 15, 18].includes(major))

/** One line each; the server says of every one whether it is a setting and which value it has. */
const LINES = [
  'my.a = 1',
  'my.b 2',
  "my.c='it''s' # comment",
  String.raw`my.d = 'a\'b\n\t\101\x\\'`,
  "MY.E = ''",
  'my.f = on#x',
  'my.g = name-with:signs/and.more.dots',
  'my.h = one.two',
  'my.i = 1.5GB',
  'my.j = 128MB',
  'my.k = -5',
  'my.l = .5e-3',
  'my.m = 0x1F',
  "my.n = 'open",
  'my.o =',
  'my.p',
  'my.q = a b',
  "my.r = 'a' 'b'",
  'my.s = +1',
  '= 1',
  'my.t == 1',
  "my.u = 'ü'",
  'my.v = über',
  "'my.w' = 1",
  'my.x.y = 1',
  'my.z = 1;',
]

/** Values that need quoting, escaping, or neither. */
const VALUES = [
  '',
  'plain',
  'a.b',
  "it's",
  "''",
  String.raw`back\slash \n`,
  'two\nlines',
  'tab\there',
  '"double"',
  '# no comment',
  '= 1',
  '1.5GB',
  'grün',
  String.raw`host=a password='it\'s'`,
  "cp %p '/srv/wal archive/%f'",
]

/** Spellings of values; which of them are equal the server knows. */
const SPELLINGS = [
  ['work_mem', ['4MB', '4096', '4096kB', '4 MB', '0x1000']],
  ['shared_buffers', ['16MB', '2048', '16384kB']],
  ['checkpoint_timeout', ['5min', '300', '300s', '0.5h']],
  ['wal_writer_delay', ['200ms', '200', '0.2s']],
  ['max_wal_size', ['1GB', '1024', '1024MB']],
  ['seq_page_cost', ['1', '1.0', '1e0', '2']],
  ['vacuum_cost_delay', ['2', '2ms']],
  ['fsync', ['on', 'yes', 'TRUE', '1', 't', 'off', 'no', 'of', 'f']],
  ['synchronous_commit', ['on', 'true', 'off', 'LOCAL', 'remote_apply']],
  ['wal_level', ['replica', 'REPLICA', 'hot_standby', 'logical']],
  ['unix_socket_permissions', ['0777', '511', '0700']],
] as const

for (const major of MAJORS) {
  suite(`postgresql.conf of PostgreSQL ${major}`, () => {
    test('is read as the server reads it, line by line', async () => {
      await using server = await startPostgres({ major })
      for (const line of LINES) {
        writeFileSync(join(server.directory, 'postgresql.auto.conf'), `${line}\n`)
        const [found] = await server.query(
          `SELECT name, setting, error FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'`,
        )
        const [ours] = scanConf(line)
        if (ours?.kind === 'directive') {
          assert.deepEqual([found?.['name'], found?.['setting']], [ours.name, ours.value], line)
        } else assert.equal(found?.['error'], 'syntax error', line)
      }
    })

    test('of ours reaches the server as it was given', async () => {
      await using server = await startPostgres({ major })
      const settings = Object.fromEntries(VALUES.map((value, index) => [`my.v${index}`, value]))
      await install(server, settings)
      for (const [name, value] of Object.entries(settings)) {
        const [row] = await server.query(`SELECT current_setting('${name}') AS value`)
        assert.equal(row?.['value'], value, name)
      }
    })

    test('of ours loses against ALTER SYSTEM only, and that is found', async () => {
      await using server = await startPostgres({ major, settings: { work_mem: '5MB' } })
      await install(server, { work_mem: '6MB', maintenance_work_mem: '7MB' })
      assert.deepEqual(await server.query('SHOW work_mem'), [{ work_mem: '6MB' }])
      await server.query("ALTER SYSTEM SET work_mem = '8MB'")
      const auto = readFileSync(join(server.directory, 'postgresql.auto.conf'), 'utf8')
      assert.deepEqual(
        findAutoConfOverrides({ work_mem: '6MB', maintenance_work_mem: '7MB' }, settingsOf(auto)),
        [{ name: 'work_mem', managed: '6MB', effective: '8MB' }],
      )
    })

    test('compares values as the server does', async () => {
      await using server = await startPostgres({ major })
      for (const [name, spellings] of SPELLINGS) {
        const [type] = (await server.query(
          `SELECT vartype, unit FROM pg_settings WHERE name = '${name}'`,
        )) as { vartype: string; unit: string | null }[]
        const seen = spellings.flatMap((spelling) => {
          const value = valueSeen(server, name, spelling)
          return value === undefined ? [] : [{ spelling, value }]
        })
        assert.ok(type !== undefined && seen.length > 1)
        for (const one of seen) {
          for (const other of seen) {
            const same = sameSettingValue(one.spelling, other.spelling, type)
            const what = `${name}: ${one.spelling} and ${other.spelling}`
            assert.equal(same, one.value === other.value, what)
          }
          assert.ok(sameSettingValue(one.spelling, one.value, type), `${name}: ${one.spelling}`)
        }
      }
    })

    test('with its includes is the tree the server sees', async () => {
      await using server = await startPostgres({ major })
      const file = (name: string): string => join(server.directory, name)
      mkdirSync(file('conf.d'))
      writeFileSync(file('conf.d/b.conf'), "work_mem = '2MB'\n")
      writeFileSync(file('conf.d/a.conf'), "work_mem = '1MB'\ninclude '../deep.conf'\n")
      writeFileSync(file('deep.conf'), "maintenance_work_mem = '3MB'\n")
      appendFileSync(file('postgresql.conf'), "include_dir 'conf.d'\ninclude_if_exists 'no.conf'\n")
      await server.query("ALTER SYSTEM SET maintenance_work_mem = '4MB'")
      const tree = await readConfTree(READER, {
        configFile: file('postgresql.conf'),
        dataDirectory: server.directory,
      })
      const rows = await server.query(
        'SELECT DISTINCT ON (lower(name)) lower(name) AS name, setting, sourcefile, sourceline ' +
          'FROM pg_file_settings ORDER BY lower(name), seqno DESC',
      )
      const ours = [...tree.settings].map(([name, { value, file: path, line }]) => [
        name,
        value,
        path,
        line,
      ])
      assert.deepEqual(
        new Set(ours.map(String)),
        new Set(rows.map((row) => Object.values(row).map(String).join())),
      )
      assert.deepEqual(tree.problems, [])
    })
  })
}

const READER: ConfReader = {
  readText: async (path) => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return undefined
    }
  },
  list: async (path) => readdirSync(path),
}

async function install(
  server: TestServer,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  writeFileSync(join(server.directory, MANAGED_CONF_NAME), formatManagedConf(settings))
  const file = join(server.directory, 'postgresql.conf')
  writeFileSync(file, ensureManagedInclude(readFileSync(file, 'utf8')))
  await reload(server)
}

async function reload(server: TestServer): Promise<void> {
  const [before] = await server.query('SELECT pg_conf_load_time()::text AS time')
  await server.query('SELECT pg_reload_conf()')
  await until('the server to read its files again', async () => {
    const [now] = await server.query('SELECT pg_conf_load_time()::text AS time')
    return now?.['time'] !== before?.['time']
  })
}

/** The value the server sees for a spelling, without unit; undefined when this major refuses it. */
function valueSeen(server: TestServer, name: string, spelling: string): string | undefined {
  const { uid, gid } = unprivilegedUser
  const drop = isRoot ? [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : []
  const program = join(server.binaries.directory, 'postgres')
  const flags = ['-C', name, '-c', `${name}=${spelling}`, '-D', server.directory]
  const { status, stdout } = spawnSync('setpriv', [...drop, '--', program, ...flags], {
    encoding: 'utf8',
    cwd: '/',
  })
  return status === 0 ? stdout.trim() : undefined
}
