/**
 * Rejoin after the two have gone different ways: rewound where PostgreSQL's own tool is there, cloned anew elsewhere, and
 * never without keeping what only the old primary had.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promoteServer, stopServer } from '../../../src/host/postgres-control.ts'
import { failOver } from '../../../src/failover/failover.ts'
import { recloneStandby } from '../../../src/failover/reclone.ts'
import type { WayBack } from '../../../src/failover/rejoin-course.ts'
import { planRejoin } from '../../../src/failover/rejoin-plan.ts'
import { rejoinServer } from '../../../src/failover/rejoin.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { instanceOf } from '../../../src/build/steps/act-context.ts'
import { bringUp } from '../../../src/build/up.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import type { Lsn } from '../../../src/postgres/lsn.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { runChecked } from '../../../src/host/run-checked.ts'
import { decompressUnknownAsync } from '../../../src/repository/codec.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { until } from '../../harness/until.ts'
import { availableMajors, debianBinaries } from '../../harness/binaries.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { type House, makeHouse, openHouse } from '../cluster/house.ts'
import { crash, isInOrder, primariesOf, stopStandby, Vault, without, withCode } from './support.ts'
import { makeTable } from './writer.ts'

/** Somebody promotes db2 by hand while db1 goes on: both write, and each has rows the other has not. */
async function diverge(house: House): Promise<void> {
  await makeTable(house)
  await bringUp(house.context())
  const db2 = house.wanted.servers[1] as ServerWanted
  await promoteServer(await instanceOf(house.context(), db2), { timeoutMs: 30_000 })
  await house.query('db1', 'INSERT INTO acknowledged VALUES (1, 1); CHECKPOINT')
  await house.query('db2', 'INSERT INTO acknowledged VALUES (2, 2)')
}

/** The same, and a primary keeps no WAL for standbys that come back. */
function withoutKeptWal({ path, wanted }: House): House {
  const replication = { ...wanted.replication, walKeepBytes: 0 }
  return openHouse(path, { ...wanted, replication }, async () => undefined)
}

/** db2 is down, and only the backup server has the WAL that it needs. */
async function leaveBehind(house: House): Promise<Vault> {
  await makeTable(house)
  const vault = await Vault.open(house)
  await vault.has(1, 1n)
  const db2 = house.wanted.servers[1] as ServerWanted
  await stopServer(await instanceOf(house.context(), db2), { timeoutMs: 30_000 })
  await house.query('db1', "SELECT pg_drop_replication_slot('backstay_db2')")
  for (let round = 1; round <= 4; round += 1) {
    await house.query('db1', `INSERT INTO acknowledged VALUES (${round}, 1)`)
    await house.query('db1', 'SELECT pg_switch_wal()')
    await house.query('db1', 'CHECKPOINT')
  }
  const [row] = await house.query('db1', 'SELECT pg_current_wal_flush_lsn() AS lsn')
  await vault.has(1, row?.['lsn'] as bigint)
  return vault
}

/** What is planned is what is done, and planning it changes nothing. */
async function isPlanned(house: House, name: string, way: WayBack): Promise<void> {
  const plan = await planRejoin(house.context(), name)
  assert.equal(plan.way, way, plan.reasons.join('; '))
  assert.equal((await planRejoin(house.context(), name)).way, way)
}

async function idsOn(house: House, server: string): Promise<readonly unknown[]> {
  const rows = await house.query(server, 'SELECT id::int FROM acknowledged ORDER BY id')
  return rows.map((row) => row['id'])
}

describe(
  'PostgreSQL 18: rejoin',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('without pg_rewind clones anew and keeps the old directory', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      await diverge(house)
      await assert.rejects(bringUp(house.context()), withCode('SPLIT_BRAIN'))
      const asked: string[] = []
      const confirm = async (question: string): Promise<boolean> => asked.push(question) > 1
      await assert.rejects(
        rejoinServer(house.context(), 'db1', { confirm }),
        withCode('NEEDS_CONFIRMATION', /Will not stop "db1" unasked/),
      )
      assert.deepEqual(await primariesOf(house), ['db1', 'db2'])
      await isPlanned(house, 'db1', 'clone')
      const { way, reasons, keptAside } = await rejoinServer(house.context(), 'db1', { confirm })
      assert.match(asked.join(), /"db1" runs as a primary with \d+ connections/)
      assert.equal(way, 'clone')
      assert.match(reasons.join('\n'), /which the primary left at/)
      assert.match(reasons.join('\n'), /there is no pg_rewind/)
      assert.equal(keptAside.length, 1)
      assert.ok(existsSync(`${keptAside[0]}/PG_VERSION`))
      await isInOrder(house, 'db2')
      assert.deepEqual(await idsOn(house, 'db1'), [2])
      assert.ok(existsSync(`${keptAside[0]}/PG_VERSION`), 'up does not remove it')
    })

    test('of a fenced primary that went another way keeps its directory, and its WAL in the repository', async () => {
      await using house = await makeHouse({ major: 18 })
      await bringUp(house.context())
      await makeTable(house)
      await (await Vault.open(house))[Symbol.asyncDispose]()
      // A backup server works as the repository's owner; the one of this test was root.
      const repository = house.wanted.backup?.repository ?? ''
      await runChecked(new LocalHost('localhost'), [
        'chown',
        '-R',
        unprivilegedUser.name,
        repository,
      ])
      const start = await stopStandby(house, 'db2')
      await house.query('db1', 'INSERT INTO acknowledged VALUES (1, 1)')
      await crash(house, 'db1')
      await start()
      const consent = { allowDataLoss: true, primaryIsDead: true, planOnly: false }
      await failOver(without(house, 'db1'), consent)
      await house.query('db2', 'INSERT INTO acknowledged VALUES (2, 2)')
      // What a failover that reached its host would have left: it looks like a standby.
      const db1 = house.wanted.servers[0] as ServerWanted
      await writeFile(join(db1.directory, 'standby.signal'), '')
      await isPlanned(house, 'db1', 'clone')
      const { way, keptAside, reasons } = await rejoinServer(house.context(), 'db1')
      assert.equal(way, 'clone')
      const [saved, old] = [...keptAside].sort((one) => (one.includes('/forks/') ? -1 : 1))
      assert.equal(keptAside.length, 2, reasons.join('\n'))
      assert.ok(existsSync(`${old}/PG_VERSION`))
      const segments = (await readdir(saved ?? '')).map((name) => name.slice(0, 24))
      const frame = await readFile(`${saved}/${segments.at(-1)}.zst`)
      const bytes = await decompressUnknownAsync(frame, 'WAL', 1024 ** 3)
      assert.equal(bytes.length, house.wanted.postgres.segmentBytes)
      assert.ok(bytes.equals(await readFile(`${old}/pg_wal/${segments.at(-1)}`)))
      await isInOrder(house, 'db2')
      assert.deepEqual(await idsOn(house, 'db1'), [2])
      assert.ok(existsSync(`${old}/PG_VERSION`), 'up does not remove it')
    })

    test('of a standby whose WAL the primary gave up takes it from the backup server', async () => {
      await using base = await makeHouse({ major: 18 })
      const house = withoutKeptWal(base)
      await bringUp(house.context())
      await using _vault = await leaveBehind(house)
      await isPlanned(house, 'db2', 'catch-up')
      const { way, reasons } = await rejoinServer(house.context(), 'db2')
      assert.equal(way, 'catch-up', reasons.join('\n'))
      await isInOrder(house, 'db1')
      assert.deepEqual(await idsOn(house, 'db2'), [1, 2, 3, 4])
    })

    test('or else a reclone: what the backup server has as well is not kept', async () => {
      await using base = await makeHouse({ major: 18 })
      const house = withoutKeptWal(base)
      await bringUp(house.context())
      await using _vault = await leaveBehind(house)
      const result = await recloneStandby(house.context(), 'db2', { discardOld: false })
      assert.deepEqual(result.keptAside, [])
      await isInOrder(house, 'db1')
      const left = (await readdir(house.path)).filter((name) => name.includes('.old-'))
      assert.deepEqual(left, [])
    })

    test('of a standby whose slot a broken connection still holds waits, and clones nothing', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      const [row] = await house.query('db1', 'SELECT pg_current_wal_flush_lsn() AS lsn')
      await stopStandby(house, 'db2')
      await using stale = await ReplicationConnection.connect({
        host: '127.0.0.1',
        port: house.wanted.servers[0]?.port ?? 0,
        user: house.wanted.replication.role,
        passfile: house.context().state.passfile,
        applicationName: 'stale',
      })
      const [startLsn, slot] = [row?.['lsn'] as Lsn, 'backstay_db2']
      const handler = { data: () => undefined, keepalive: () => undefined }
      const order = { timeline: 1, startLsn, slot, clock: systemClock }
      const stream = await stale.startReplication(order, handler)
      const rejoined = rejoinServer(house.context(), 'db2')
      const log = async () =>
        await house.query('db2', 'SELECT pg_read_file(pg_current_logfile()) AS log')
      await until(
        'the standby to have tried for longer than a reason in its log is believed',
        async () => {
          const [read] = await log().catch(() => [])
          return String(read?.['log']).split('is active for PID').length > 4
        },
        40_000,
      )
      await stream.stop()
      assert.equal((await rejoined).way, 'follow')
      await isInOrder(house, 'db1')
    })

    test('of a server that streams there is nothing to do; the only primary is refused', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      await isPlanned(house, 'db2', 'already')
      assert.equal((await rejoinServer(house.context(), 'db2')).way, 'already')
      await assert.rejects(rejoinServer(house.context(), 'db1'), withCode('SPLIT_BRAIN'))
      await assert.rejects(rejoinServer(house.context(), 'db9'), withCode('USAGE'))
    })
  },
)

/** Who pg_rewind logged in as at db2, and that what it was granted for that is taken back. */
async function isRewoundAs(house: House, role: string): Promise<void> {
  const [read] = await house.query('db2', 'SELECT pg_read_file(pg_current_logfile()) AS log')
  // pg_rewind gives no application_name; everything of ours does.
  const strangers = String(read?.['log']).matchAll(/authorized: user=(\S+) database=postgres\n/g)
  assert.deepEqual(new Set([...strangers].map(([, user]) => user)), new Set([role]))
  const [row] = await house.query(
    'db2',
    `SELECT has_function_privilege('${role}', 'pg_read_binary_file(text)', 'EXECUTE') AS may`,
  )
  assert.equal(row?.['may'], false)
}

const debian = debianBinaries(15)

describe('PostgreSQL 15: rejoin', { skip: debian === undefined && 'no pg_rewind here' }, () => {
  test('winds back a primary whose configuration lies outside its directory', async () => {
    await using base = await makeHouse({ major: 15, backup: false })
    const postgres = { ...base.wanted.postgres, binaries: debian }
    const servers = base.wanted.servers.map((server) => {
      const conf = join(base.path, 'etc', server.name)
      mkdirSync(conf, { recursive: true })
      return {
        ...server,
        configFile: join(conf, 'postgresql.conf'),
        hbaFile: join(conf, 'pg_hba.conf'),
        parameters: { ...server.parameters, hba_file: join(conf, 'pg_hba.conf') },
      }
    })
    if (isRoot) execFileSync('chown', ['-R', unprivilegedUser.name, join(base.path, 'etc')])
    const house = openHouse(base.path, { ...base.wanted, postgres, servers }, async () => undefined)
    await bringUp(house.context())
    for (const { directory } of servers)
      await rm(join(directory, 'postgresql.conf'), { force: true })
    await diverge(house)
    await crash(house, 'db1')
    await isPlanned(house, 'db1', 'rewind')
    const { way, reasons } = await rejoinServer(house.context(), 'db1')
    assert.equal(way, 'rewind', reasons.join('\n'))
    await isInOrder(house, 'db2')
    assert.deepEqual(await idsOn(house, 'db1'), [2])
  })

  test('winds back a former primary that still runs, and keeps its own WAL', async () => {
    await using base = await makeHouse({ major: 15, backup: false })
    const parameters = { ...base.wanted.postgres.parameters, log_connections: 'on' }
    const postgres = { ...base.wanted.postgres, parameters, binaries: debian }
    const house = openHouse(base.path, { ...base.wanted, postgres }, async () => undefined)
    await bringUp(house.context())
    await diverge(house)
    const seen = new Set<string>()
    const watch = setInterval(() => {
      for (const name of readdirSync(base.path)) seen.add(name)
    }, 5)
    const rejoined = rejoinServer(house.context(), 'db1').finally(() => clearInterval(watch))
    const { way, reasons, keptAside } = await rejoined
    assert.equal(way, 'rewind', reasons.join('\n'))
    // A run that is killed at any moment leaves no password that was not there before.
    assert.ok(seen.has('db1.rejoin'))
    const passwords = [...seen].filter((name) => name.includes('.pgpass') && !name.startsWith('.'))
    assert.deepEqual(passwords.sort(), ['db1.pgpass', 'db2.pgpass'])
    assert.equal(keptAside.length, 1)
    assert.match((await readdir(keptAside[0] ?? '')).join(), /^00000001/)
    await isRewoundAs(house, 'backstay_replication')
    await isInOrder(house, 'db2')
    assert.deepEqual(await idsOn(house, 'db1'), [2])
    const back = await switchOver(house.context(), { to: 'db1' })
    assert.equal(back.primary, 'db1')
    assert.deepEqual(await idsOn(house, 'db1'), [2])
  })
})
