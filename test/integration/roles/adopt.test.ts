/**
 * A pair built by hand is taken over: nothing restarts, nothing of the operator's is lost, and afterwards it is a cluster like
 * any other.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { holdsData } from '../../../src/build/adopt/holds-data.ts'
import {
  lookAdopted,
  type HostAndPort,
  type SeenData,
} from '../../../src/build/adopt/look-adopted.ts'
import { rememberAdopted } from '../../../src/build/adopt/remember.ts'
import { StateDirectory } from '../../../src/cluster/state/state-directory.ts'
import { recloneStandby } from '../../../src/failover/reclone.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp, planCluster } from '../../../src/build/up.ts'
import { renderAdoptedFile } from '../../../src/config/adopted-file.ts'
import { thisMachine } from '../../../src/config/machine.ts'
import { readCluster } from '../../../src/config/read.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { startServer, stopServer } from '../../../src/host/postgres-control.ts'
import type { PostgresInstance } from '../../../src/host/postgres-instance.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { withSql } from '../../../src/wire/sql-client.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { claimPorts } from '../../harness/ports.ts'
import { makeCluster, testInstance } from '../../harness/postgres-instance.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { type House, openHouse } from '../cluster/house.ts'
import { Impostor } from './impostor.ts'
import { isInOrder } from './support.ts'

const PASSWORD = 'a-password-of-the-operator'

interface Pair {
  readonly path: string
  readonly ports: readonly number[]
  readonly passfile: string
}

/** A primary with a setting and an access line of its own, and a standby as pg_basebackup -R leaves it. */
async function buildByHand(path: string): Promise<Pair> {
  const ports = await claimPorts(2)
  const [first = 0, second = 0] = ports
  const primary = await testInstance(18, join(path, 'one'))
  const socketDirectory = join(path, 's')
  await makeCluster(primary, { port: first, socketDirectory, password: PASSWORD })
  // Enough for a pair: less than Backstay would set itself. Two sockets, as the PostgreSQL project's packages have them.
  const sockets = `unix_socket_directories = '${socketDirectory}, ${path}'\n`
  const own = `work_mem = '7MB'\nmax_replication_slots = 4\n${sockets}`
  await appendFile(join(primary.directory, 'postgresql.conf'), own)
  await appendFile(join(primary.directory, 'pg_hba.conf'), 'host all all 10.1.1.1/32 md5\n')
  const directory = join(path, 'two')
  execFileSync('cp', ['-a', primary.directory, directory])
  const passfile = join(path, 'pgpass')
  await writeFile(passfile, `*:*:*:postgres:${PASSWORD}\n`, { mode: 0o600 })
  const conninfo = `host=127.0.0.1 port=${first} user=postgres password=${PASSWORD}`
  await appendFile(
    join(directory, 'postgresql.auto.conf'),
    `port = ${second}\nprimary_conninfo = '${conninfo}'\n`,
  )
  await writeFile(join(directory, 'standby.signal'), '')
  await start(primary)
  await start({ ...primary, name: 'db2', directory })
  return { path, ports, passfile }
}

async function start(instance: PostgresInstance): Promise<void> {
  await startServer(instance, { timeoutMs: 30_000, logFile: `${instance.directory}.log` })
}

const seesData = async (_: HostAndPort, data: SeenData): Promise<boolean> =>
  holdsData(new LocalHost('here'), data)

/** What `backstay adopt` does. */
async function adopt(pair: Pair): Promise<{ house: House; notes: readonly string[] }> {
  const { path, ports, passfile } = pair
  const place = (port: number | undefined) => ({ host: '127.0.0.1', port: port ?? 0 })
  const found = await lookAdopted({
    primary: place(ports[0]),
    standbys: [place(ports[1])],
    login: { user: 'postgres', passfile },
    seesData,
  })
  const words = { cluster: 'main', backupHost: undefined, repository: undefined }
  // The operator's word, as the notes ask for it.
  const socketDirectory = join(path, 's')
  const told = { socketDirectory, socketDirectories: `${socketDirectory}, ${path}` }
  const servers = found.servers.map((server) => ({ ...server, ...told }))
  const text = renderAdoptedFile({
    ...words,
    found: { ...found, servers },
    schemaPath: 'schema.json',
  })
  const read = readCluster(text, { file: 'x.yaml', directory: path, machine: thisMachine() })
  const osUser = unprivilegedUser.name
  const { directory: binaries } = (await testInstance(18, '')).binaries
  const wanted = { ...read.wanted, postgres: { ...read.wanted.postgres, osUser, binaries } }
  const state = new StateDirectory(new LocalHost('here'), wanted.stateDirectory)
  await rememberAdopted(state, { cluster: 'main', found, clock: systemClock }, PASSWORD)
  return { house: openHouse(path, wanted, async () => undefined), notes: found.notes }
}

async function startedAt(house: House): Promise<readonly unknown[]> {
  const names = house.wanted.servers.map(({ name }) => name)
  const query = 'SELECT pg_postmaster_start_time()::text AS at'
  return await Promise.all(names.map(async (name) => (await house.query(name, query))[0]?.['at']))
}

describe('adopt', { skip: !availableMajors().includes(18) && 'not installed' }, () => {
  test('takes a pair over without a restart, and it can switch over afterwards', async () => {
    await using base = temporaryDirectory()
    const pair = await buildByHand(base.path)
    const login = { host: '127.0.0.1', user: 'postgres', passfile: pair.passfile }
    await until('the standby to stream', async () =>
      withSql({ ...login, port: pair.ports[0] ?? 0, database: 'postgres' }, async (sql) => {
        const rows = await sql.query("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'")
        return rows.length === 1
      }),
    )
    const { house, notes } = await adopt(pair)
    assert.deepEqual(
      house.wanted.servers.map(({ name, role }) => [name, role]),
      [
        ['db1', 'primary'],
        ['db2', 'standby'],
      ],
    )
    assert.match(notes.join('\n'), /"db2" is pointed at its primary by ALTER SYSTEM/)
    assert.match(notes.join('\n'), /"db1" says that its socket is in .* which root would make/)
    await house.query('db2', 'ALTER SYSTEM RESET primary_conninfo')
    const { plan } = await planCluster(house.context())
    const actions = new Set(plan.steps.map(({ action }) => action))
    for (const action of ['initdb', 'clone', 'restart', 'stop', 'start'] as const) {
      assert.ok(!actions.has(action), `${action} is planned: ${[...actions].join()}`)
    }
    const before = await startedAt(house)
    await bringUp(house.context())
    assert.deepEqual(await startedAt(house), before)
    await isInOrder(house, 'db1')
    const [row] = await house.query('db1', 'SHOW work_mem')
    assert.equal(row?.['work_mem'], '7MB')
    const [slots] = await house.query('db1', 'SHOW max_replication_slots')
    assert.equal(slots?.['max_replication_slots'], '4')
    const [sockets] = await house.query('db1', 'SHOW unix_socket_directories')
    assert.equal(sockets?.['unix_socket_directories'], `${base.path}/s, ${base.path}`)
    const hba = await readFile(join(base.path, 'one', 'pg_hba.conf'), 'utf8')
    assert.match(hba, /host all all 10\.1\.1\.1\/32 md5/)
    await switchOver(house.context())
    await isInOrder(house, 'db2')
  })
  test('takes a data directory on trust only where distributions have it, and a lost one is not made unasked', async () => {
    await using base = temporaryDirectory()
    const pair = await buildByHand(base.path)
    const [first = 0, second = 0] = pair.ports
    const order = {
      primary: { host: '127.0.0.1', port: first },
      standbys: [{ host: '127.0.0.1', port: second }],
      login: { user: 'postgres', passfile: pair.passfile },
    }
    const [one, two] = [join(base.path, 'one'), join(base.path, 'two')]
    await assert.rejects(lookAdopted(order), { code: 'DIRECTORY_FOREIGN' })
    await assert.rejects(lookAdopted({ ...order, dataDirectories: [one] }), (error: Error) =>
      error.message.includes(JSON.stringify(two)),
    )
    const { servers } = await lookAdopted({ ...order, dataDirectories: [one, two] })
    assert.deepEqual(
      servers.map(({ directory }) => directory),
      [one, two],
    )
    assert.equal(await seesData(order.primary, { directory: one, systemIdentifier: '1' }), false)
    assert.equal(await seesData(order.primary, { directory: '/opt', systemIdentifier: '1' }), false)

    const { house } = await adopt(pair)
    await house.query('db2', 'ALTER SYSTEM RESET primary_conninfo')
    await bringUp(house.context())
    const standby = { ...(await testInstance(18, two)), name: 'db2' }
    await stopServer(standby, { timeoutMs: 30_000 })
    await rm(two, { recursive: true })
    const { problems } = await bringUp(house.context())
    assert.deepEqual(
      problems.map(({ server, code }) => [server, code]),
      [['db2', 'DIRECTORY_FOREIGN']],
    )
    assert.equal(existsSync(two), false)
    await recloneStandby(house.context(), 'db2', { discardOld: false })
    await isInOrder(house, 'db1')
  })

  test('sends no answer to an md5 question of a server that only a holder of the replication role names', async () => {
    await using base = temporaryDirectory()
    const [port = 0] = await claimPorts(1)
    const primary = await testInstance(18, join(base.path, 'one'))
    await makeCluster(primary, { port, socketDirectory: join(base.path, 's'), password: PASSWORD })
    const lines = 'host all,replication all 127.0.0.0/8 scram-sha-256\n'
    await appendFile(join(primary.directory, 'pg_hba.conf'), lines)
    await start(primary)
    const passfile = join(base.path, 'pgpass')
    await writeFile(passfile, `*:*:*:postgres:${PASSWORD}\n`, { mode: 0o600 })
    await using eve = await Impostor.listen(port)
    const login = { host: '127.0.0.1', port, user: 'postgres', passfile, database: 'postgres' }
    await eve.receiveWal(PASSWORD)
    await until('eve to be named', async () =>
      withSql(login, async (sql) => {
        const rows = await sql.query("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'")
        return rows.length === 1
      }),
    )
    const place = { host: '127.0.0.1', port }
    const { servers, notes } = await lookAdopted({
      primary: place,
      standbys: [],
      login: { user: 'postgres', passfile },
      seesData,
    })
    assert.equal(servers.length, 1)
    assert.equal(servers[0]?.socketDirectory, undefined, 'a directory that only the server names')
    assert.match(notes.join('\n'), /"eve" at 127\.0\.0\.2 receives WAL and was left out/)
    assert.equal(eve.asked, 1, 'it was reached')
    assert.equal(eve.answers, 0, 'it got no answer')
  })
})
