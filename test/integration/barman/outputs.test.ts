/**
 * What our commands print has the shape of what Barman 3.17 printed (test/fixtures/barman: recorded with a live server): the same
 * lines with other values, the same keys.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startPostgres, type TestServer } from '../../harness/postgres.ts'
import { type BarmanHouse, barmanHouse } from './barman-house.ts'
import { compare, keysOf, recorded } from './recorded.ts'

let pg: TestServer
let house: BarmanHouse

before(async () => {
  pg = await startPostgres({ major: 15 })
  const connection = `host=127.0.0.1 port=${pg.port} password=${pg.password}`
  house = await barmanHouse(`[pg]
description = The description
conninfo = ${connection} user=postgres dbname=postgres
streaming_conninfo = ${connection} user=streaming_barman
backup_method = postgres
streaming_archiver = on
archiver = on
slot_name = barman
immediate_checkpoint = true
minimum_redundancy = 1
retention_policy = RECOVERY WINDOW OF 7 DAYS
pre_wal_delete_script = echo "$BARMAN_SEGMENT" >> %(barman_home)s/deleted
[off]
active = false
conninfo = host=127.0.0.1 port=1
[dis]
backup_method = postgres
streaming_archiver = on
`)
  await pg.query(`CREATE ROLE streaming_barman LOGIN REPLICATION PASSWORD '${pg.password}'`)
  const archive = join(house.directory, 'incoming-%f')
  await pg.query('ALTER SYSTEM SET archive_mode = on')
  await pg.query(`ALTER SYSTEM SET archive_command = 'cp %p ${archive}'`)
  await pg.stop()
  await pg.start()
  await said('receive-wal', '--create-slot', 'pg')
  await said('cron')
  await said('switch-wal', '--force', '--archive', 'pg')
  await said('backup', 'pg', '--name', 'weekly')
  await said('backup', 'pg')
})

after(async () => {
  await house.barman(['receive-wal', '--stop', 'pg'])
  await house[Symbol.asyncDispose]()
  await pg[Symbol.asyncDispose]()
})

async function said(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await house.barman(words)
  assert.equal(exitCode, 0, `${words.join(' ')}: ${stdout.toString()}${stderr}`)
  return stdout.toString()
}

test('list-backups, its --minimal and its JSON', async () => {
  compare(await said('list-backups', 'pg'), 'list-backups')
  compare(await said('list-backups', '--minimal', 'pg'), 'list-backups-minimal')
  const json = await said('-f', 'json', 'list-backups', 'pg')
  assert.deepEqual(keysOf(JSON.parse(json)), keysOf(JSON.parse(recorded('list-backups-json'))))
  assert.ok(!json.endsWith('\n'))
})

test('check has Barman’s lines in Barman’s order, and its JSON keys', async () => {
  compare(await said('check', 'pg'), 'check')
  const json = await said('-f', 'json', 'check', 'pg')
  assert.deepEqual(keysOf(JSON.parse(json)), keysOf(JSON.parse(recorded('check-json'))))
  compare(await said('check', '--nagios', 'pg'), 'check-nagios')
})

test('status has Barman’s lines and keys', async () => {
  compare(await said('status', 'pg'), 'status')
  const json = await said('-f', 'json', 'status', 'pg')
  assert.deepEqual(keysOf(JSON.parse(json)), keysOf(JSON.parse(recorded('status-json'))))
})

test('replication-status has Barman’s lines and keys', async () => {
  const differing = [/Sync stage/]
  compare(await said('replication-status', 'pg'), 'replication-status', differing)
  compare(await said('replication-status', '--minimal', 'pg'), 'replication-status-minimal')
  compare(
    await said('replication-status', '--target', 'hot-standby', 'pg'),
    'replication-status-hot',
  )
  const json = await said('-f', 'json', 'replication-status', 'pg')
  assert.deepEqual(
    keysOf(JSON.parse(json)),
    keysOf(JSON.parse(recorded('replication-status-json'))),
  )
})

test('show-backup has Barman’s lines but PGDATA, and its keys', async () => {
  // What the repository does not know, and what only it has.
  const differing = [/PGDATA directory/, /Resources saved/]
  compare(await said('show-backup', 'pg', 'latest'), 'show-backup', [
    ...differing,
    /Compression ratio|WAL rate/,
  ])
  const json = await said('-f', 'json', 'show-backup', 'pg', 'latest')
  assert.deepEqual(keysOf(JSON.parse(json)), keysOf(JSON.parse(recorded('show-backup-json'))))
})

test('a disabled server has Barman’s lines and reasons', async () => {
  const { exitCode, stdout, stderr } = await house.barman(['check', 'dis'])
  assert.deepEqual([exitCode, stderr], [1, ''])
  // No programs of PostgreSQL are run, so they have no version.
  compare(stdout.toString(), 'disabled-check', [/compatible/])
  assert.equal(
    await said('list-servers'),
    'dis -  (WARNING: disabled)\noff -  (inactive)\npg - The description\n',
  )
})

test('list-processes and keep --status', async () => {
  compare(await said('list-processes', 'pg'), 'list-processes')
  const json = await said('-f', 'json', 'list-processes', 'pg')
  assert.deepEqual(keysOf(JSON.parse(json)), keysOf(JSON.parse(recorded('list-processes-json'))))
  compare(await said('keep', '--status', 'pg', 'latest'), 'keep-status')
})

test('recorded refusals: texts on stderr and exit codes', async () => {
  const cases: readonly (readonly [readonly string[], number, string])[] = [
    [['check', 'nosuch'], 1, "ERROR: Unknown server 'nosuch'\n"],
    [
      ['show-backup', 'pg', '20000101T000000'],
      1,
      "ERROR: Unknown backup '20000101T000000' for server 'pg'\n",
    ],
    [['delete', 'pg', 'f'], 1, "ERROR: Unknown backup 'f' for server 'pg'\n"],
    [
      ['keep', 'pg', 'latest'],
      1,
      'ERROR: one of the arguments -r/--release -s/--status --target is required\n',
    ],
    [
      ['receive-wal', '--reset', 'pg'],
      1,
      'ERROR: Unable to reset the status of receive-wal for server pg. Process is still running\n',
    ],
    [
      ['receive-wal', 'pg'],
      1,
      'ERROR: Another receive-wal process is already running for server pg.\n',
    ],
    [
      ['terminate-process', 'pg', 'nosuchtask'],
      1,
      'ERROR: Termination of nosuchtask failed: no such process for server pg\n',
    ],
    [
      ['restore', 'pg', 'latest', '/x', '--target-time', '2026-11-23', '--target-xid', '3'],
      1,
      'ERROR: You cannot specify multiple targets for the recovery operation\n',
    ],
    [
      ['restore', 'pg', 'latest', '/x', '--target-action', 'promote'],
      1,
      "ERROR: Can't enable recovery target action when PITR is not required\n",
    ],
    [['backup', 'off'], 0, ''],
    [['list-backups', 'pg', 'all'], 1, "ERROR: You cannot use 'all' with other server names\n"],
    [['switch-wal'], 2, ''],
  ]
  for (const [words, exitCode, stderr] of cases) {
    const ran = await house.barman(words)
    assert.equal(ran.exitCode, exitCode, words.join(' '))
    if (exitCode !== 2) assert.equal(ran.stderr, stderr, words.join(' '))
  }
})

test('delete keeps what is kept and what redundancy needs, and says so in Barman’s words', async () => {
  await said('keep', '--target', 'full', 'pg', 'oldest')
  assert.match(await said('list-backups', 'pg'), /'weekly' .* - KEEP:FULL\n$/)
  const kept = await house.barman(['delete', 'pg', 'weekly'])
  assert.equal(kept.exitCode, 1)
  assert.match(kept.stderr, /WARNING: Skipping delete of backup \d+T\d+ for server pg as it has a/)
  await said('keep', '--release', 'pg', 'weekly')
  const deleted = await said('delete', 'pg', 'oldest')
  assert.match(
    deleted,
    /^Deleting backup \d+T\d+ for server pg\n[^]*\nDeleted backup \d+T\d+ \(start/,
  )
  const segments = deleted.match(/\t[0-9A-F]{24}\n/g)?.map((line) => line.trim()) ?? []
  assert.ok(segments.length > 0)
  const told = readFileSync(join(house.home, 'deleted'), 'utf8')
  assert.deepEqual(told.trimEnd().split('\n'), segments)
  const last = await house.barman(['delete', 'pg', 'latest'])
  assert.equal(last.exitCode, 1)
  assert.match(
    last.stderr,
    /due to minimum redundancy requirements \(minimum redundancy = 1, current redundancy = 1\)/,
  )
})

test('passwords are neither on the console nor in JSON', async () => {
  for (const format of ['console', 'json']) {
    const text = await said('-f', format, 'show-servers', 'pg')
    assert.match(text, /password=\*\*\*/)
    assert.ok(!text.includes(`password=${pg.password}`))
  }
})
