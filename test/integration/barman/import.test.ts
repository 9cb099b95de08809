/**
 * `backstay import barman`: what a Barman home holds comes in whole, in every form it can have; what is damaged does not; the
 * source stays as it was. The last test takes a home that the real Barman made.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { verifyBackup } from '../../../src/backup/verify/verify-backup.ts'
import { listBackups } from '../../../src/repository/catalogue.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import {
  claimCluster,
  listClusters,
  openCluster,
} from '../../../src/repository/cluster-repository.ts'
import { debianBinaries } from '../../harness/binaries.ts'
import {
  openPostgres,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { type BarmanHouse, barmanHouse, type Ran } from './barman-house.ts'
import { canPack, MadeHome } from './made-home.ts'

const LAUNCHER = join(import.meta.dirname, '../../../bin/backstay.js')

interface ImportedServer {
  readonly isComplete: boolean
  readonly wal: {
    stored: number
    present: number
    problems: { name: string; why: string }[]
    missing: string[]
  }
  readonly backups: { id: string; outcome: string; because: string | null; label: string | null }[]
}

function conf(pg: TestServer): string {
  return `[main]
conninfo = host=127.0.0.1 port=${pg.port} user=postgres password=${pg.password} dbname=postgres
streaming_conninfo = host=127.0.0.1 port=${pg.port} user=postgres password=${pg.password}
backup_method = postgres
streaming_archiver = on
slot_name = barman
immediate_checkpoint = true
`
}

async function backstay(house: BarmanHouse, ...words: string[]): Promise<Ran> {
  return await house.run([process.execPath, LAUNCHER, ...words])
}

async function importAll(
  house: BarmanHouse,
  ...words: string[]
): Promise<ImportedServer & { code: number }> {
  const ran = await backstay(
    house,
    'import',
    'barman',
    '--json',
    '--barman-config',
    house.configFile,
    ...words,
  )
  assert.ok([0, 3].includes(ran.exitCode), ran.stderr)
  const { servers } = JSON.parse(ran.stdout.toString()) as { servers: ImportedServer[] }
  const [server] = servers
  assert.ok(server !== undefined)
  return { ...server, code: ran.exitCode }
}

/** Every file with its content's sum and its time. */
function sumsOf(directory: string): string {
  const command = `find . -printf '%p %m %T@ ' -type f -exec sha256sum {} + -o -printf '\\n' | sort`
  return execFileSync('sh', ['-c', command], { cwd: directory }).toString()
}

async function countAfterRestore(
  house: BarmanHouse,
  { major, id }: { major: TestServer['major']; id: string },
): Promise<unknown> {
  const target = join(house.directory, `restored-${id}`)
  const ran = await house.barman(['recover', 'main', id, target])
  assert.equal(ran.exitCode, 0, ran.stderr)
  execFileSync('chown', ['-R', unprivilegedUser.name, target])
  await using copy = await openPostgres({ major, directory: target })
  await until('recovery to end', async () => {
    const [row] = await copy.query('SELECT pg_is_in_recovery() AS recovering')
    return row?.['recovering'] === false
  })
  const [row] = await copy.query('SELECT count(*)::int AS n FROM t')
  return row?.['n']
}

test('backups of every form and WAL of every compression come in, keep their names, and restore', async (context: TestContext) => {
  await using pg = await startPostgres({ major: 15 })
  await using house = await barmanHouse(conf(pg))
  const home = new MadeHome(join(house.home, 'main'), 'main', pg)
  await pg.query('CREATE TABLE t AS SELECT generate_series(1, 20000) AS n')
  await home.takeBackup({
    id: '20200101T000000',
    kind: 'plain',
    layout: 'base',
    keep: 'standalone',
  })
  await pg.query('INSERT INTO t SELECT generate_series(1, 100)')
  const all = ['gz', 'tar', 'zst', 'lz4', 'bz2'] as const
  const forms = all.filter((kind) => canPack(kind))
  for (const kind of all.filter((each) => !canPack(each))) context.diagnostic(`no ${kind} here`)
  const outcomes = (word: string): string[] => Array.from({ length: forms.length + 1 }, () => word)
  for (const [index, kind] of forms.entries()) {
    const name = kind === 'gz' ? { name: 'weekly', keep: 'full' as const } : {}
    await home.takeBackup({ id: `2020010${index + 2}T000000`, kind, layout: 'meta', ...name })
    await pg.query('INSERT INTO t SELECT generate_series(1, 100)')
  }
  await home.storeWal(['gz', 'zst', 'lz4', 'bz2', 'xz', 'none'].filter((kind) => canPack(kind)))
  const before = sumsOf(join(house.home, 'main'))

  const planned = await importAll(house, '--dry-run')
  assert.deepEqual(
    planned.backups.map(({ outcome }) => outcome),
    outcomes('import'),
  )
  assert.equal(existsSync(join(house.home, 'backstay')), false)

  const done = await importAll(house)
  assert.equal(done.code, 0, JSON.stringify(done))
  assert.deepEqual(
    done.backups.map(({ outcome }) => outcome),
    outcomes('imported'),
  )
  assert.deepEqual(done.wal.problems, [])
  assert.equal(sumsOf(join(house.home, 'main')), before)

  const listed = (await house.barman(['list-backups', 'main'])).stdout.toString()
  assert.match(listed, /20200102T000000 'weekly' .* - KEEP:FULL\n/)
  assert.match(listed, /20200101T000000 .* - KEEP:STANDALONE\n$/)
  const newest = { major: 15, id: `2020010${forms.length + 1}T000000` } as const
  assert.equal(await countAfterRestore(house, newest), 20_100 + 100 * forms.length)

  const again = await importAll(house)
  assert.deepEqual([again.code, again.wal.stored], [0, 0])
  assert.deepEqual(
    again.backups.map(({ outcome }) => outcome),
    outcomes('present'),
  )
})

test('block-incremental backups stand on their imported parents', async () => {
  await using pg = await startPostgres({ major: 17, settings: { summarize_wal: 'on' } })
  await using house = await barmanHouse(conf(pg))
  const home = new MadeHome(join(house.home, 'main'), 'main', pg)
  await pg.query('CREATE TABLE t AS SELECT generate_series(1, 200000) AS n')
  await home.takeBackup({ id: '20200101T000000', kind: 'plain', layout: 'meta' })
  await pg.query('INSERT INTO t SELECT generate_series(1, 100)')
  const parent = '20200101T000000'
  await home.takeBackup({ id: '20200102T000000', kind: 'gz', layout: 'meta', parent })
  const changes = { parent_backup_id: '20191231T000000' }
  await home.takeBackup({ id: '20200103T000000', kind: 'plain', layout: 'meta', parent, changes })
  await home.storeWal(['gz'])
  const done = await importAll(house)
  assert.deepEqual(
    done.backups.map(({ outcome }) => outcome),
    ['imported', 'imported', 'failed'],
    JSON.stringify(done),
  )
  assert.match(done.backups[2]?.because ?? '', /its parent 20191231T000000 was not imported/)
  assert.equal(await countAfterRestore(house, { major: 17, id: '20200102T000000' }), 200100)
})

for (const kind of ['plain', 'gz'] as const) {
  test(`tablespaces of ${kind} backups come in and can be moved`, async () => {
    await using spaces = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    await using house = await barmanHouse(conf(pg))
    const home = new MadeHome(join(house.home, 'main'), 'main', pg)
    const location = join(spaces.path, 'ts')
    await mkdir(location)
    execFileSync('chown', [unprivilegedUser.name, location])
    await pg.query(`CREATE TABLESPACE ts LOCATION '${location}'`)
    await pg.query('CREATE TABLE t TABLESPACE ts AS SELECT generate_series(1, 1000) AS n')
    await home.takeBackup({ id: '20200101T000000', kind, layout: 'meta' })
    await home.storeWal(['none'])
    const done = await importAll(house)
    assert.equal(done.code, 0, JSON.stringify(done))
    const target = join(house.directory, 'restored')
    const moved = join(house.directory, 'moved')
    const words = ['recover', '--tablespace', `ts:${moved}`, 'main', 'latest', target]
    const ran = await house.barman(words)
    assert.equal(ran.exitCode, 0, ran.stderr)
    for (const path of [target, moved]) execFileSync('chown', ['-R', unprivilegedUser.name, path])
    await using copy = await openPostgres({ major: 18, directory: target })
    assert.deepEqual(await copy.query('SELECT count(*)::int AS n FROM t'), [{ n: 1000 }])
  })
}

test('what is damaged, foreign or unfinished stays out and is named; the rest comes in', async () => {
  await using pg = await startPostgres({ major: 11 })
  await using house = await barmanHouse(conf(pg))
  const directory = join(house.home, 'main')
  const home = new MadeHome(directory, 'main', pg)
  await pg.query('CREATE TABLE t AS SELECT generate_series(1, 1000) AS n')
  const meta = { layout: 'meta' } as const
  await home.takeBackup({ id: '20200101T000000', kind: 'gz', ...meta })
  await home.takeBackup({ id: '20200102T000000', kind: 'tar', ...meta })
  await home.takeBackup({
    id: '20200103T000000',
    kind: 'plain',
    ...meta,
    changes: { status: 'FAILED' },
  })
  await home.takeBackup({
    id: '20200104T000000',
    kind: 'plain',
    ...meta,
    changes: { systemid: '12345' },
  })
  await home.takeBackup({
    id: '20200105T000000',
    kind: 'plain',
    ...meta,
    changes: { end_xlog: 'F/0' },
  })
  await home.takeBackup({
    id: '20200106T000000',
    kind: 'plain',
    ...meta,
    changes: { encryption: 'gpg' },
  })
  await home.takeBackup({
    id: '20200107T000000',
    kind: 'plain',
    ...meta,
    changes: { tablespaces: '[(' },
  })
  await home.takeBackup({ id: '20990101T000000', kind: 'plain', ...meta })
  await home.takeBackup({
    id: '20200108T000000',
    kind: 'plain',
    ...meta,
    changes: { systemid: undefined, data_checksums: undefined },
  })
  await home.storeWal(['gz'])
  const base = (id: string, name: string): string => join(directory, 'base', id, 'data', name)
  await truncate(base('20200101T000000', 'base.tar.gz'), 100_000)
  // At an entry's end: only the trailer tells.
  const tar = await readFile(base('20200102T000000', 'base.tar'))
  await writeFile(base('20200102T000000', 'base.tar'), tar.subarray(0, 512))
  await mkdir(join(directory, 'base', '20200109T000000'))
  const folder = join(directory, 'wals', '0000000100000000')
  await writeFile(join(folder, '0000000100000000000000F0'), 'no WAL')
  const done = await importAll(house)
  const outcomes = Object.fromEntries(
    done.backups.map(({ id, outcome }) => [id.slice(0, 8), outcome]),
  )
  assert.deepEqual(
    outcomes,
    {
      20200101: 'failed',
      20200102: 'failed',
      20200103: 'skipped',
      20200104: 'refused',
      20200105: 'failed',
      20200106: 'skipped',
      20200107: 'skipped',
      20200108: 'imported',
      20200109: 'skipped',
      20990101: 'wait',
    },
    JSON.stringify(done.backups, undefined, 1),
  )
  assert.equal(done.code, 3)
  assert.deepEqual(
    done.wal.problems.map(({ name }) => name),
    ['0000000100000000000000F0'],
  )
  const listed = await house.barman(['list-backups', '--minimal', 'main'])
  assert.equal(listed.stdout.toString(), '20200108T000000\n')
  const packs = await readdir(join(house.home, 'backstay', 'main', 'packs'))
  assert.deepEqual(
    packs.filter((name) => !name.startsWith('20200108')),
    [],
  )
})

test('an import that is killed leaves no backup, and the next one goes on', async () => {
  await using pg = await startPostgres({ major: 18 })
  await using house = await barmanHouse(conf(pg))
  const home = new MadeHome(join(house.home, 'main'), 'main', pg)
  await pg.query('CREATE TABLE t AS SELECT generate_series(1, 3000000) AS n')
  await home.takeBackup({ id: '20200101T000000', kind: 'gz', layout: 'meta' })
  await home.storeWal(['gz'])
  const words = ['import', 'barman', '--barman-config', house.configFile]
  const child = spawn(process.execPath, [LAUNCHER, ...words], { env: house.environment })
  const ended = new Promise((resolve) => child.on('close', resolve))
  const packs = join(house.home, 'backstay', 'main', 'packs')
  await until('the first pack', async () => (await readdir(packs).catch(() => [])).length > 0)
  child.kill('SIGKILL')
  await ended
  const listed = await house.barman(['list-backups', '--minimal', 'main'])
  assert.deepEqual([listed.exitCode, listed.stdout.toString()], [0, ''])
  const done = await importAll(house)
  assert.deepEqual([done.code, done.backups[0]?.outcome], [0, 'imported'], JSON.stringify(done))
  assert.equal((await house.barman(['verify-backup', 'main', 'latest'])).exitCode, 0)
  assert.equal((await readdir(packs)).filter((name) => !name.endsWith('.pack')).length, 0)
})

test('a home without configuration goes into a repository of its own, and its WAL comes without backups too', async () => {
  await using pg = await startPostgres({ major: 18 })
  await using house = await barmanHouse(conf(pg))
  const home = new MadeHome(join(house.directory, 'elsewhere'), 'elsewhere', pg)
  await pg.query('CREATE TABLE t AS SELECT 1 AS n')
  await home.storeWal(['gz'])
  const repository = join(house.directory, 'repository')
  await mkdir(repository)
  const words = [
    'import',
    'barman',
    '--from',
    home.directory,
    '--repository',
    repository,
    '--cluster',
    'shop',
  ]
  const ran = await backstay(house, ...words)
  assert.equal(ran.exitCode, 0, ran.stderr)
  assert.match(ran.stdout.toString(), /Barman's "elsewhere" into "shop": \d+ WAL files?/)
  assert.match(ran.stdout.toString(), /No backups\.\n$/)
  const gaps = await backstay(house, 'wal', 'list', '--repository', repository, '--cluster', 'shop')
  assert.equal(gaps.exitCode, 0, gaps.stderr)
})

test('of several servers none is taken when one of them is another than the repository holds', async () => {
  await using pg = await startPostgres({ major: 18 })
  await using house = await barmanHouse(`${conf(pg)}\n${conf(pg).replace('[main]', '[other]')}`)
  const main = new MadeHome(join(house.home, 'main'), 'main', pg)
  await pg.query('CREATE TABLE t AS SELECT 1 AS n')
  await main.storeWal(['gz'])
  const other = new MadeHome(join(house.home, 'other'), 'other', pg)
  await other.storeWal(['gz'])
  const repository = join(house.directory, 'repository')
  await mkdir(repository)
  const store = new DiskStore(repository)
  const server = { systemIdentifier: '7', major: 18, segmentBytes: 2 ** 24 }
  await claimCluster({ store, name: 'other', server, clock: systemClock })
  const ran = await backstay(
    house,
    'import',
    'barman',
    '--repository',
    repository,
    '--barman-config',
    house.configFile,
  )
  assert.equal(ran.exitCode, 23, ran.stderr)
  assert.match(ran.stderr, /holds system identifier 7/)
  assert.deepEqual(await listClusters(store), ['other'])
})

function whyNoBarman(): string | undefined {
  if (!existsSync('/usr/bin/barman')) return 'Barman is not installed'
  return debianBinaries() === undefined ? "Debian's PostgreSQL is not installed" : undefined
}

test('a home that the real Barman made comes in and restores', async (context: TestContext) => {
  const why = whyNoBarman()
  if (why !== undefined) return context.skip(why)
  await using pg = await startPostgres({ major: 15 })
  const sections = `${conf(pg)}compression = gzip\n`
  await using house = await barmanHouse(sections)
  const real = async (...words: string[]): Promise<Ran> => {
    const ran = await house.run(['/usr/bin/barman', '-c', house.configFile, ...words])
    assert.equal(ran.exitCode, 0, `${words.join(' ')}: ${ran.stdout.toString()}${ran.stderr}`)
    return ran
  }
  await real('receive-wal', '--create-slot', 'main')
  const environment = { PATH: '/usr/bin:/bin', HOME: house.directory }
  const receiver = spawn('/usr/bin/barman', ['-c', house.configFile, 'receive-wal', 'main'], {
    env: environment,
    stdio: 'ignore',
  })
  try {
    await until('the slot to be used', async () => {
      const [row] = await pg.query('SELECT active FROM pg_replication_slots')
      return row?.['active'] === true
    })
    await pg.query('CREATE TABLE t AS SELECT generate_series(1, 4999) AS n')
    await real('switch-wal', '--force', 'main')
    // The receiver names a segment when the next one begins.
    await pg.query('INSERT INTO t VALUES (0)')
    await until('Barman to archive a segment', async () => {
      await real('archive-wal', 'main')
      return existsSync(join(house.home, 'main', 'wals', '0000000100000000'))
    })
    await real('backup', '--wait', 'main')
    await writeFile(
      house.configFile,
      (await readFile(house.configFile, 'utf8')).replace(
        '[main]\n',
        '[main]\nbackup_compression = gzip\n',
      ),
    )
    await pg.query('INSERT INTO t SELECT generate_series(1, 500)')
    await until(
      'another second, of which ids are made',
      async () => (await house.run(['sleep', '1'])).exitCode === 0,
    )
    await real('backup', '--wait', 'main')
    await real('keep', '--target', 'full', 'main', 'first')
  } finally {
    await house.run(['/usr/bin/barman', '-c', house.configFile, 'receive-wal', '--stop', 'main'])
    receiver.kill('SIGTERM')
  }
  const before = sumsOf(join(house.home, 'main'))
  const done = await importAll(house)
  assert.equal(done.code, 0, JSON.stringify(done))
  assert.deepEqual(
    done.backups.map(({ outcome }) => outcome),
    ['imported', 'imported'],
  )
  assert.deepEqual(done.wal.missing, [])
  assert.equal(sumsOf(join(house.home, 'main')), before)
  const kept = await house.barman(['keep', '--status', 'main', 'oldest'])
  assert.equal(kept.stdout.toString(), 'Server main:\n\tKeep: full\n')
  const [first] = done.backups
  assert.equal(await countAfterRestore(house, { major: 15, id: first?.id ?? '' }), 5500)
  await rm(join(house.home, 'main'), { recursive: true })
})

test('pages that changed between two backups without a new LSN come in as they are in each', async () => {
  await using pg = await startPostgres({
    major: 15,
    initdbArguments: ['--no-data-checksums'],
    settings: { autovacuum: 'off', bgwriter_lru_maxpages: 0 },
  })
  await using house = await barmanHouse(conf(pg))
  const home = new MadeHome(join(house.home, 'main'), 'main', pg)
  await pg.query('CREATE TABLE t AS SELECT generate_series(1, 50000) AS n')
  const ids = ['20200101T000000', '20200102T000000']
  await home.takeBackup({ id: ids[0] ?? '', kind: 'plain', layout: 'meta' })
  // Sets hint bits, which nothing logs.
  await pg.query('SELECT count(*) FROM t')
  await home.takeBackup({ id: ids[1] ?? '', kind: 'tar', layout: 'meta' })
  await home.storeWal(['none'])
  const done = await importAll(house)
  assert.equal(done.code, 0, JSON.stringify(done))
  const cluster = await openCluster(
    new DiskStore(join(house.home, 'backstay')),
    'main',
    systemClock,
  )
  for (const { info } of await listBackups(cluster)) {
    const report = await verifyBackup(cluster, info.id, {
      samplePercent: 100,
      seed: 0,
      sinceMs: undefined,
      signal: AbortSignal.timeout(60_000),
      onProgress: () => undefined,
    })
    assert.deepEqual(report.problems, [])
    assert.equal(info.type, info.id === ids[0] ? 'full' : 'changed-pages', info.fullBecause ?? '')
  }
  for (const id of ids) assert.equal(await countAfterRestore(house, { major: 15, id }), 50_000)
})
