/**
 * WAL figures against PostgreSQL's own tools, on one machine in one run: latency that a synchronous receiver adds to commits,
 * speed of receiving a backlog, segments a second of `wal get`. Needs Debian's PostgreSQL 15 with pgbench and pg_receivewal.
 *
 *   node bench/wal.ts [latency|backlog|get]... [--rounds N] [--seconds N]
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openCluster } from '../src/repository/cluster-repository.ts'
import { callService } from '../src/service/control-client.ts'
import { listenForControl } from '../src/service/control-server.ts'
import { WalServer } from '../src/service/serve-wal.ts'
import { DiskStore } from '../src/store/disk-store.ts'
import { systemClock } from '../src/util/clock.ts'
import { debianBinaries, startPostgres, type TestServer } from '../test/harness/postgres.ts'
import { temporaryDirectory } from '../test/harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../test/harness/unprivileged-user.ts'
import { until } from '../test/harness/until.ts'
import {
  claimFor,
  copyDirectory,
  giveToServer,
  recover,
  restoreCommandFor,
  spawnReceiver,
  startReceiver,
  switchWal,
  untilReceived,
} from '../test/integration/wal/support.ts'

const binaries = debianBinaries(15) ?? fail("Debian's PostgreSQL 15 is not installed")
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '8' } },
})
const rounds = Number(values.rounds)
const seconds = Number(values.seconds)
const parts = positionals.length === 0 ? ['latency', 'backlog', 'get'] : positionals
const PEERS = ['nobody', 'pg_receivewal', 'backstay'] as const
type Peer = (typeof PEERS)[number]

if (parts.includes('latency')) await benchLatency()
if (parts.includes('backlog')) await benchBacklog()
if (parts.includes('get')) await benchGet()

function fail(reason: string): never {
  throw new Error(reason)
}

async function openServer(settings: Record<string, string | number> = {}): Promise<TestServer> {
  return await startPostgres({
    major: 15,
    binaries,
    settings: {
      fsync: 'on',
      shared_buffers: '256MB',
      max_connections: 100,
      max_wal_size: '8GB',
      min_wal_size: '1GB',
      checkpoint_timeout: '1h',
      ...settings,
    },
  })
}

// --- latency ---

interface Latency {
  readonly p50: number
  readonly p99: number
  readonly tps: number
}

async function benchLatency(): Promise<void> {
  await using pg = await openServer()
  await pg.query('create table t(id bigserial primary key, text text)')
  const found = new Map<string, Latency[]>()
  for (let round = 0; round < rounds; round += 1) {
    for (const peer of PEERS) {
      await using folder = temporaryDirectory()
      await using _receiver = await startPeer(pg, peer, folder.path)
      // A receiver runs for months: its code is warm.
      await pgbench(pg, 8)
      for (const clients of [1, 8, 64]) {
        const key = `${clients} ${peer}`
        found.set(key, [...(found.get(key) ?? []), await pgbench(pg, clients)])
      }
      await asynchronous(pg)
    }
  }
  for (const clients of [1, 8, 64]) {
    const of = (peer: Peer): Latency => median(found.get(`${clients} ${peer}`) ?? [])
    const [none, theirs, ours] = PEERS.map(of) as [Latency, Latency, Latency]
    const line = (name: string, value: Latency): void =>
      console.log(
        `${String(clients).padStart(2)} clients  ${name.padEnd(14)} p50 ${value.p50.toFixed(0)} µs  p99 ${value.p99.toFixed(0)} µs  ${value.tps.toFixed(0)} tps`,
      )
    line('asynchronous', none)
    line('pg_receivewal', theirs)
    line('backstay', ours)
    const ratio = (a: number, b: number): string => (a / b).toFixed(2)
    console.log(
      `            latency × pg_receivewal: p50 ${ratio(ours.p50, theirs.p50)}  p99 ${ratio(ours.p99, theirs.p99)};` +
        ` added × added: p50 ${ratio(ours.p50 - none.p50, theirs.p50 - none.p50)}  p99 ${ratio(ours.p99 - none.p99, theirs.p99 - none.p99)}`,
    )
  }
}

function median(samples: readonly Latency[]): Latency {
  const of = (key: keyof Latency): number =>
    samples.map((sample) => sample[key]).sort((a, b) => a - b)[Math.floor(samples.length / 2)] ?? 0
  return { p50: of('p50'), p99: of('p99'), tps: of('tps') }
}

async function startPeer(pg: TestServer, peer: Peer, directory: string): Promise<AsyncDisposable> {
  if (peer === 'nobody') return { [Symbol.asyncDispose]: async () => undefined }
  await dropSlot(pg)
  const running =
    peer === 'backstay'
      ? await startOurs(pg, directory)
      : startReceivewal(pg, directory, ['--synchronous'])
  await pg.query(`alter system set synchronous_standby_names = 'vault'`)
  await pg.query('select pg_reload_conf()')
  await until(`${peer} to be synchronous`, async () => {
    const rows = await pg.query(
      `select 1 from pg_stat_replication where application_name = 'vault' and sync_state = 'sync'`,
    )
    return rows.length > 0
  })
  return running
}

async function asynchronous(pg: TestServer): Promise<void> {
  await pg.query(`alter system reset synchronous_standby_names`)
  await pg.query('select pg_reload_conf()')
}

async function dropSlot(pg: TestServer): Promise<void> {
  await until('the slot to be free', async () => {
    const rows = await pg.query('select 1 from pg_replication_slots where active')
    return rows.length === 0
  })
  await pg.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots')
}

async function startOurs(pg: TestServer, directory: string): Promise<AsyncDisposable> {
  await claimFor(pg, directory)
  return spawnReceiver(pg, directory)
}

function startReceivewal(
  pg: TestServer,
  directory: string,
  more: readonly string[],
): AsyncDisposable & { child: ChildProcess } {
  const { host, port, user, password } = pg.connection
  const conninfo = `host=${host} port=${port} user=${user} application_name=vault`
  const program = join(binaries, 'pg_receivewal')
  const slot = ['--slot', 'theirs']
  const environment = { PATH: '/usr/bin:/bin', PGPASSWORD: password }
  execFileSync(program, ['-d', conninfo, ...slot, '--create-slot', '--if-not-exists'], {
    env: environment,
  })
  const child = spawn(program, ['-d', conninfo, ...slot, '-D', directory, ...more], {
    env: environment,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return {
    child,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGINT')
      await ended
    },
  }
}

/** pgbench with one small insert a transaction; latencies from its log. */
async function pgbench(pg: TestServer, clients: number): Promise<Latency> {
  await using folder = temporaryDirectory()
  const script = join(folder.path, 'script.sql')
  execFileSync('sh', ['-c', `echo "insert into t(text) values (repeat('x', 100));" > ${script}`])
  const { host, port, user, password } = pg.connection
  const options = ['-h', host, '-p', String(port), '-U', user, '-n', '-M', 'prepared', '-f', script]
  const load = ['-c', String(clients), '-j', '1', '-T', String(seconds), '-l', '--log-prefix=log']
  const child = spawn(join(binaries, 'pgbench'), [...options, ...load, 'postgres'], {
    cwd: folder.path,
    env: { PATH: '/usr/bin:/bin', PGPASSWORD: password },
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  await once(child, 'exit')
  const latencies = readdirSync(folder.path)
    .filter((name) => name.startsWith('log'))
    .flatMap((name) => readFileSync(join(folder.path, name), 'utf8').trim().split('\n'))
    .map((line) => Number(line.split(' ')[2]))
    .sort((a, b) => a - b)
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0
  return { p50: at(0.5), p99: at(0.99), tps: latencies.length / seconds }
}

// --- backlog ---

async function benchBacklog(): Promise<void> {
  await using pg = await openServer({ wal_keep_size: '6GB' })
  await pg.query('create table t(text text)')
  const figures = {
    pg_receivewal: [] as number[],
    'backstay, durable': [] as number[],
    'backstay, stored': [] as number[],
  }
  // Every round begins at the position of this slot.
  await pg.query(`select pg_create_physical_replication_slot('base', true)`)
  for (let chunk = 0; chunk < 10; chunk += 1) {
    await pg.query(
      `insert into t select repeat(md5((i * ${chunk + 1})::text), 25) from generate_series(1, 110000) i`,
    )
  }
  const last = await switchWal(pg)
  const bytes = await backlogBytes(pg)
  for (let round = 0; round < rounds; round += 1) {
    figures.pg_receivewal.push(await timeReceivewal(pg, last))
    const ours = await timeOurs(pg, last)
    figures['backstay, durable'].push(ours.durable)
    figures['backstay, stored'].push(ours.stored)
  }
  for (const [name, times] of Object.entries(figures)) {
    const speeds = times.map((time) => bytes / 1e6 / time).sort((a, b) => a - b)
    console.log(
      `backlog of ${(bytes / 1e6).toFixed(0)} MB  ${name.padEnd(17)} ${speeds.map((speed) => speed.toFixed(0)).join(', ')} MB/s`,
    )
  }
}

async function backlogBytes(pg: TestServer): Promise<number> {
  const [row] = await pg.query(
    `select (pg_current_wal_lsn() - restart_lsn)::float as bytes from pg_replication_slots where slot_name = 'base'`,
  )
  return Number(row?.['bytes'])
}

/** Until the last segment is whole. */
async function timeReceivewal(pg: TestServer, last: string): Promise<number> {
  await using folder = temporaryDirectory()
  await copySlot(pg, 'theirs')
  await using receiver = startReceivewal(pg, folder.path, ['--no-loop'])
  const startedAt = await connectedAt(pg)
  await until(
    'pg_receivewal to have the last segment',
    () => readdirSync(folder.path).includes(last),
    120_000,
  )
  const time = (performance.now() - startedAt) / 1000
  await receiver[Symbol.asyncDispose]()
  return time
}

async function timeOurs(
  pg: TestServer,
  last: string,
): Promise<{ durable: number; stored: number }> {
  await using folder = temporaryDirectory()
  const repository = await claimFor(pg, folder.path)
  await copySlot(pg, 'backstay_test')
  await using receiver = spawnReceiver(pg, folder.path)
  const startedAt = await connectedAt(pg)
  await until('our receiver to have acknowledged the last segment', async () => {
    const rows = await pg.query(
      `select 1 from pg_replication_slots where slot_name = 'backstay_test' and pg_walfile_name(restart_lsn) > '${last}'`,
    )
    return rows.length > 0
  })
  const durable = (performance.now() - startedAt) / 1000
  await until(
    'our receiver to have stored the last segment',
    async () => repository.wal.hasSegment(last),
    120_000,
  )
  const stored = (performance.now() - startedAt) / 1000
  const status = readFileSync(`/proc/${receiver.child.pid}/status`, 'utf8')
  console.log(`            our receiver: ${/VmHWM:\s*(.*)/.exec(status)?.[1]} at most`)
  await receiver.kill('SIGTERM')
  return { durable, stored }
}

/** Starting a program is not receiving: the time runs from the login. */
async function connectedAt(pg: TestServer): Promise<number> {
  await until('the receiver to connect', async () => {
    const rows = await pg.query(
      `select 1 from pg_stat_replication where application_name = 'vault'`,
    )
    return rows.length > 0
  })
  return performance.now()
}

/** The slot as it would be had nobody received yet. */
async function copySlot(pg: TestServer, slot: string): Promise<void> {
  const named = `from pg_replication_slots where slot_name = '${slot}'`
  await until(`slot ${slot} to be free`, async () => {
    return (await pg.query(`select 1 ${named} and active`)).length === 0
  })
  await pg.query(`select pg_drop_replication_slot(slot_name) ${named}`)
  await pg.query(`select pg_copy_physical_replication_slot('base', '${slot}')`)
}

// --- get ---

async function benchGet(): Promise<void> {
  console.log('full segments:')
  await benchGetOf(async (pg) => {
    for (let chunk = 0; chunk < 16; chunk += 1) {
      await pg.query(
        `insert into t select repeat(md5((i * ${chunk + 1})::text), 25) from generate_series(1, 110000) i`,
      )
    }
    return await switchWal(pg)
  })
  console.log('nearly empty segments, as archive_timeout leaves them:')
  await benchGetOf(async (pg) => {
    let last = ''
    for (let number = 0; number < 200; number += 1) {
      await pg.query(`insert into t select 'some row' from generate_series(1, 100)`)
      last = await switchWal(pg)
    }
    return last
  })
}

async function benchGetOf(fill: (pg: TestServer) => Promise<string>): Promise<void> {
  await using folder = temporaryDirectory()
  await using copy = temporaryDirectory()
  await using pg = await openServer({ fsync: 'off' })
  await pg.query('create table t(text text)')
  await pg.stop()
  copyDirectory(pg.directory, join(copy.path, 'base'))
  await pg.start()
  const repository = await claimFor(pg, folder.path)
  const receiver = startReceiver(pg, repository)
  const last = await fill(pg)
  await untilReceived(pg)
  await until('the last segment to be stored', async () => repository.wal.hasSegment(last), 60_000)
  await receiver.stop()
  await pg.stop()
  giveToServer(folder.path)
  const names: string[] = []
  for await (const name of repository.wal.listSegments('00000001')) names.push(name)
  await timeService(folder.path, names)
  await timeCold(folder.path, names.slice(0, 20))
  await timeRecovery(copy.path, restoreCommandFor(folder.path), 'wal get', names.length)
  await timeRecoveryByCopy(folder.path, copy.path, names)
}

/** One caller, file after file, through the socket of a running service. */
async function timeService(directory: string, names: readonly string[]): Promise<void> {
  await using out = temporaryDirectory()
  await using server = new WalServer(new DiskStore(directory), systemClock)
  const socket = join(out.path, 'socket')
  await using _control = await listenForControl(socket, async (call) =>
    call.call === 'get-wal' ? server.get(call) : undefined,
  )
  const pgWal = join(out.path, 'pg_wal')
  mkdirSync(pgWal)
  const target = join(pgWal, 'RECOVERYXLOG')
  const startedAt = performance.now()
  for (const name of names) {
    await callService(socket, { call: 'get-wal', cluster: 'shop', name, target }, 60_000)
    await rm(target)
  }
  report('get through the service, loop', names.length, startedAt)
}

/** A new process for every file, nothing prefetched. */
async function timeCold(directory: string, names: readonly string[]): Promise<void> {
  await using out = temporaryDirectory()
  const launcher = join(import.meta.dirname, '../bin/backstay.js')
  const startedAt = performance.now()
  for (const name of names) {
    const place = ['--repository', directory, '--cluster', 'shop']
    execFileSync(process.execPath, [launcher, 'wal', 'get', ...place, name, join(out.path, 'file')])
  }
  report('get cold, a process each', names.length, startedAt)
}

async function timeRecovery(
  copies: string,
  command: string,
  what: string,
  count: number,
): Promise<void> {
  const directory = join(copies, what.replaceAll(' ', '-'))
  copyDirectory(join(copies, 'base'), directory)
  const startedAt = performance.now()
  await using restored = await recover(15, directory, {
    command,
    settings: { shared_buffers: '256MB' },
  })
  report(`recovery with ${what}`, count, startedAt)
  await restored.stop('immediate')
}

/** The same recovery with `cp` from plain files: what PostgreSQL itself needs. */
async function timeRecoveryByCopy(
  directory: string,
  copies: string,
  names: readonly string[],
): Promise<void> {
  const plain = join(copies, 'plain')
  mkdirSync(plain)
  const repository = await openCluster(new DiskStore(directory), 'shop', systemClock)
  for (const name of names) {
    const content = await repository.wal.getSegment(name)
    execFileSync('sh', ['-c', `cat > ${join(plain, name)}`], { input: content })
  }
  if (isRoot) execFileSync('chown', ['-R', unprivilegedUser.name, plain])
  await timeRecovery(copies, `cp ${plain}/%f %p`, 'cp', names.length)
}

function report(what: string, count: number, startedAt: number): void {
  const time = (performance.now() - startedAt) / 1000
  console.log(
    `${what.padEnd(32)} ${count} segments in ${time.toFixed(2)} s: ${(count / time).toFixed(0)} segments/s`,
  )
}
