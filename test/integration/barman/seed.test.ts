/**
 * The how-to's sequence, typed as it stands there: two files, a password file, slot, cron, switch-wal, check, backup, list, archive,
 * recover. On the oldest and the newest PostgreSQL.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openPostgres, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { type BarmanHouse, barmanHouse } from './barman-house.ts'

const NAME = '192.168.100.10'

/** The how-to's main.conf; the address is this machine's. */
function mainConf(pg: TestServer): string {
  return `[${NAME}]
description = "Main PostgreSQL server"
conninfo = host=127.0.0.1 port=${pg.port} user=barman dbname=postgres
streaming_conninfo = host=127.0.0.1 port=${pg.port} user=streaming_barman
backup_method = postgres
streaming_archiver = on
slot_name = barman
path_prefix = "/usr/pgsql-11/bin"
`
}

async function makeRoles(pg: TestServer, house: BarmanHouse): Promise<void> {
  await pg.query("CREATE ROLE barman WITH LOGIN SUPERUSER PASSWORD 'barman-secret'")
  await pg.query("CREATE ROLE streaming_barman WITH LOGIN REPLICATION PASSWORD 'stream-secret'")
  await writeFile(
    join(house.directory, '.pgpass'),
    '127.0.0.1:*:*:barman:barman-secret\n127.0.0.1:*:*:streaming_barman:stream-secret\n',
    { mode: 0o600 },
  )
}

async function stopReceiver(house: BarmanHouse): Promise<void> {
  await house.barman(['receive-wal', '--stop', NAME])
}

for (const major of [11, 18] as const) {
  test(`the how-to works as it stands on PostgreSQL ${major}`, async () => {
    await using pg = await startPostgres({
      major,
      hba: [
        'host postgres barman 127.0.0.1/32 scram-sha-256',
        'host replication streaming_barman 127.0.0.1/32 scram-sha-256',
      ],
      settings: { password_encryption: 'scram-sha-256' },
    })
    await using house = await barmanHouse(mainConf(pg))
    await makeRoles(pg, house)
    await using _receiver = { [Symbol.asyncDispose]: async () => stopReceiver(house) }
    const say = async (...words: string[]): Promise<string> => {
      const { exitCode, stdout, stderr } = await house.barman(words)
      assert.equal(exitCode, 0, `${words.join(' ')}: ${stdout.toString()}${stderr}`)
      return stdout.toString()
    }

    assert.equal(
      await say('receive-wal', '--create-slot', NAME),
      `Creating physical replication slot 'barman' on server '${NAME}'\nReplication slot 'barman' created\n`,
    )
    const again = await house.barman(['receive-wal', '--create-slot', NAME])
    assert.deepEqual(
      [again.exitCode, again.stderr],
      [1, "ERROR: Replication slot 'barman' already exists\n"],
    )
    assert.equal(
      await say('cron'),
      `Starting WAL archiving for server ${NAME}\nStarting streaming archiver for server ${NAME}\n`,
    )
    const switched = await say(
      'switch-wal',
      '--force',
      '--archive',
      '--archive-timeout',
      '60',
      NAME,
    )
    assert.match(
      switched,
      /^The WAL file (\w{24}) has been closed on server '192\.168\.100\.10'\nWaiting for the WAL file \1 from server '192\.168\.100\.10' \(max: 60 seconds\)\nProcessing xlog segments from streaming for 192\.168\.100\.10\n\t\1\n$/,
    )
    const checked = await say('check', NAME)
    assert.deepEqual(checked.trimEnd().split('\n'), [
      `Server ${NAME}:`,
      '\tPostgreSQL: OK',
      '\tsuperuser or standard user with backup privileges: OK',
      '\tPostgreSQL streaming: OK',
      '\twal_level: OK',
      '\treplication slot: OK',
      '\tdirectories: OK',
      '\tretention policy settings: OK',
      '\tbackup maximum age: OK (no last_backup_maximum_age provided)',
      '\tbackup minimum size: OK (0 B)',
      '\twal maximum age: OK (no last_wal_maximum_age provided)',
      ...checked.split('\n').filter((line) => line.startsWith('\twal size: OK (')),
      '\tcompression settings: OK',
      '\tfailed backups: OK (there are 0 failed backups)',
      '\tminimum redundancy requirements: OK (have 0 non-incremental backups, expected at least 0)',
      '\tpg_basebackup: OK',
      '\tpg_basebackup compatible: OK',
      '\tpg_basebackup supports tablespaces mapping: OK',
      '\tsystemid coherence: OK',
      '\tpg_receivexlog: OK',
      '\tpg_receivexlog compatible: OK',
      '\treceive-wal running: OK',
      '\tarchiver errors: OK',
    ])
    await pg.query('CREATE TABLE t AS SELECT generate_series(1, 1000) AS n')
    const backup = await say('backup', NAME)
    assert.match(backup, /^Starting backup using postgres method for server 192\.168\.100\.10 in /)
    assert.match(backup, /\nBackup completed \(start time: .*, elapsed time: .*\)\n$/)
    const listed = await say('list-backups', NAME)
    assert.match(
      listed,
      /^192\.168\.100\.10 \d{8}T\d{6} - F - \w{3} \w{3} [ \d]\d [\d:]{8} \d{4} - Size: [\d.]+ MiB - WAL Size: [\d.]+ K?i?B\n$/,
    )
    assert.equal(await say('check-backup', NAME, 'latest'), '')
    assert.equal(await say('cron'), `Starting WAL archiving for server ${NAME}\n`)

    await pg.query('INSERT INTO t SELECT generate_series(1001, 1500)')
    await say('switch-wal', '--force', '--archive', NAME)
    // PostgreSQL looks for placeholders in its commands, and rm stands in one of them.
    const target = join(house.directory, "restored 100%, it's %f")
    const restored = await say('recover', NAME, 'latest', target)
    assert.match(restored, /^Starting local restore for server 192\.168\.100\.10 using backup \d/)
    assert.match(restored, /Your PostgreSQL server has been successfully prepared for recovery!\n$/)
    // The repository is not needed to open it, and its owner is not PostgreSQL's user.
    execFileSync('chown', ['-R', unprivilegedUser.name, target])
    await using copy = await openPostgres({ major, directory: target })
    await until('recovery to end', async () => {
      const [row] = await copy.query('SELECT pg_is_in_recovery() AS recovering')
      return row?.['recovering'] === false
    })
    assert.deepEqual(await copy.query('SELECT count(*)::int AS n FROM t'), [{ n: 1500 }])
    assert.deepEqual(
      await copy.query(
        "SELECT count(*)::int AS n FROM pg_ls_dir('.') AS name WHERE name = 'barman_wal'",
      ),
      [{ n: 0 }],
    )
  })
}

test('archive_command through barman-wal-archive and a copy into incoming are both stored', async () => {
  await using pg = await startPostgres({ major: 18 })
  await using house = await barmanHouse(
    mainConf(pg).replace('streaming_archiver = on', 'archiver = on'),
  )
  await makeRoles(pg, house)
  const incoming = join(house.home, NAME, 'incoming')
  await mkdir(incoming, { recursive: true })
  const [row] = await pg.query('SELECT pg_walfile_name(pg_current_wal_lsn()) AS name')
  await pg.query('SELECT pg_switch_wal()')
  execFileSync('cp', [join(pg.directory, 'pg_wal', String(row?.['name'])), incoming])
  const { exitCode, stdout } = await house.barman(['archive-wal', NAME])
  assert.equal(exitCode, 0)
  assert.match(stdout.toString(), new RegExp(`\t${String(row?.['name'])}\n`))
})

test('a remote restore takes tablespaces along and opens; every target option is understood', async () => {
  await using spaces = temporaryDirectory()
  await using pg = await startPostgres({ major: 18 })
  await using house = await barmanHouse(mainConf(pg))
  await makeRoles(pg, house)
  await using _receiver = { [Symbol.asyncDispose]: async () => stopReceiver(house) }
  const say = async (...words: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await house.barman(words)
    assert.equal(exitCode, 0, `${words.join(' ')}: ${stdout.toString()}${stderr}`)
    return stdout.toString()
  }
  await say('receive-wal', '--create-slot', NAME)
  await say('cron')
  const location = join(spaces.path, 'ts')
  await mkdir(location)
  execFileSync('chown', [unprivilegedUser.name, location])
  await pg.query(`CREATE TABLESPACE ts LOCATION '${location}'`)
  await pg.query('CREATE TABLE t (n int) TABLESPACE ts')
  await say('backup', NAME, '--name', 'weekly')
  await pg.query('INSERT INTO t VALUES (1)')
  const [point] = await pg.query("SELECT pg_create_restore_point('rp1') AS lsn")
  await pg.query('INSERT INTO t VALUES (2)')
  const [now] = await pg.query('SELECT now()::text AS time')
  await say('switch-wal', '--force', '--archive', NAME)

  const remote = join(house.directory, 'remote')
  const text = await say(
    'recover',
    '--remote-ssh-command',
    'sh -c',
    '--target-name',
    'rp1',
    '--target-action',
    'promote',
    '--staging-wal-directory',
    join(house.directory, 'remote-wal'),
    '--tablespace',
    `ts:${join(house.directory, 'remote-ts')}`,
    NAME,
    'weekly',
    remote,
  )
  assert.match(text, /^Starting remote restore for server [^]*\nRemote command: sh -c\n/)
  for (const path of ['remote', 'remote-ts', 'remote-wal']) {
    execFileSync('chown', ['-R', unprivilegedUser.name, join(house.directory, path)])
  }
  await using copy = await openPostgres({ major: 18, directory: remote })
  await until('recovery to end', async () => {
    const [row] = await copy.query('SELECT pg_is_in_recovery() AS recovering')
    return row?.['recovering'] === false
  })
  assert.deepEqual(await copy.query('SELECT n FROM t'), [{ n: 1 }])
  const again = await house.barman([
    'recover',
    '--remote-ssh-command',
    'sh -c',
    NAME,
    'weekly',
    remote,
  ])
  assert.equal(again.exitCode, 1)
  assert.match(again.stderr, /Is the destination empty/)

  const wishes: readonly (readonly string[])[] = [
    ['--target-immediate'],
    ['--target-lsn', String(point?.['lsn']), '--exclusive'],
    ['--target-time', String(now?.['time']), '--target-action', 'pause', '--get-wal'],
    [
      '--target-tli',
      'current',
      '--standby-mode',
      '--staging-wal-directory',
      join(house.directory, 'staged'),
    ],
  ]
  for (const [index, wish] of wishes.entries()) {
    const moved = ['--tablespace', `${location}:${join(house.directory, `ts${index}`)}`]
    await say('restore', NAME, 'latest', join(house.directory, `r${index}`), ...moved, ...wish)
  }
  const conf = await readFile(join(house.directory, 'r2', 'postgresql.auto.conf'), 'utf8')
  assert.match(conf, /restore_command = 'barman get-wal -P 192\.168\.100\.10 %f > %p'/)
  const filled = await house.barman(['restore', NAME, 'latest', join(house.directory, 'r0')])
  assert.equal(filled.exitCode, 1)
  assert.match(
    filled.stderr,
    /^ERROR: The restore operation cannot proceed because the destination folder/,
  )
})
