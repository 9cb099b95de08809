/** The daemon and the `wal` commands as an operator runs them, from a cluster file. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { it } from 'node:test'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import { callService } from '../../../src/service/control-client.ts'
import { controlSocketOf } from '../../../src/service/control-protocol.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { readReceiverStatus } from '../../../src/wal/receiver-status.ts'
import { spoolOf } from '../../../src/wal/spool-place.ts'
import { startPostgres, type TestServer } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'
import { knowCluster } from '../cli/known-cluster.ts'
import { backstay, LAUNCHER } from '../cli/programs.ts'
import { LOAD } from '../wal/support.ts'

interface House extends AsyncDisposable {
  readonly pg: TestServer
  readonly config: string
  readonly repository: string
}

async function buildHouse(): Promise<House> {
  const folder = temporaryDirectory()
  const pg = await startPostgres({ major: 18 })
  const config = join(folder.path, 'backstay.yaml')
  const repository = join(folder.path, 'vault')
  mkdirSync(repository, { mode: 0o700 })
  writeFileSync(
    config,
    `cluster: shop
stateDirectory: state
postgres: { version: 18 }
servers:
  db1: { role: primary, host: 127.0.0.1, port: ${pg.port}, directory: ${pg.directory}, socketDirectory: ${pg.socketDirectory} }
backup: { server: vault, host: 127.0.0.1, repository: vault }
`,
  )
  const explained = await backstay(['config', 'check', '-c', config, '--json'])
  const { backup } = JSON.parse(explained.stdout) as {
    backup: { streamRole: string; backupRole: string }
  }
  await pg.query(`create role ${backup.streamRole} login replication password 'streams';
    create role ${backup.backupRole} login password 'backs up';
    grant execute on function pg_switch_wal() to ${backup.backupRole}`)
  // What `up` leaves for the owner of the repository.
  const passwords = `*:*:*:${backup.streamRole}:streams\n*:*:*:${backup.backupRole}:backs up\n`
  writeFileSync(join(repository, '.pgpass'), passwords, { mode: 0o600 })
  return {
    pg,
    config,
    repository,
    async [Symbol.asyncDispose]() {
      await pg[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

async function backupRoleOf({ config }: House): Promise<string> {
  const { stdout } = await backstay(['config', 'check', '-c', config, '--json'])
  return (JSON.parse(stdout) as { backup: { backupRole: string } }).backup.backupRole
}

interface RunningService extends AsyncDisposable {
  readonly child: ChildProcess
  log(): string
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>
}

function startService(house: House): RunningService {
  const child = spawn(process.execPath, [LAUNCHER, 'serve', '-c', house.config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
  const stop = async (): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    }
    return child.exitCode
  }
  return { child, log: () => log, stop, [Symbol.asyncDispose]: async () => void (await stop()) }
}

async function isReceiving(house: House): Promise<boolean> {
  const sql = `select 1 from pg_stat_replication where application_name = 'vault' and state = 'streaming'`
  return (await house.pg.query(sql)).length > 0
}

void it('serve receives WAL, starts its receiver again, answers, and stops in order', async () => {
  await using house = await buildHouse()
  await using service = startService(house)
  await until('the receiver to stream', async () => isReceiving(house), 30_000)
  await house.pg.query(LOAD)
  const wal = async (...words: string[]): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await backstay(['wal', ...words, '-c', house.config, '--json'])
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as Record<string, unknown>
  }
  const { segment } = await wal('switch')
  const { ranges } = (await wal('list')) as { ranges: { timeline: number }[] }
  assert.equal(ranges.length, 1)
  assert.deepEqual((await wal('gaps'))['gaps'], [])

  const target = join(house.repository, '..', 'fetched')
  const got = await backstay(['wal', 'get', '-c', house.config, String(segment), target])
  assert.equal(got.code, 0, got.stderr)
  const primary = readFileSync(join(house.pg.directory, 'pg_wal', String(segment)))
  assert.ok(readFileSync(target).equals(primary))
  const missing = await backstay([
    'wal',
    'get',
    '-c',
    house.config,
    '0000000900000000000000AA',
    target,
  ])
  assert.equal(missing.code, 1)

  const socket = controlSocketOf(house.repository)
  const answer = await callService(socket, { call: 'status' }, 5000)
  assert.ok(answer !== 'absent')
  const { more } = answer.result as { more: { receiver: { state: string; pid: number } } }
  assert.equal(more.receiver.state, 'streaming')

  process.kill(more.receiver.pid, 'SIGKILL')
  await until(
    'another receiver to stream',
    async () => {
      const [row] = await house.pg.query(
        `select count(*)::int as count from pg_stat_replication where application_name = 'vault' and state = 'streaming'`,
      )
      const store = new DiskStore(house.repository)
      const { directory } = spoolOf(await openCluster(store, 'shop', systemClock))
      const status = await readReceiverStatus(directory)
      return (
        row?.['count'] === 1 && status?.pid !== more.receiver.pid && status?.state === 'streaming'
      )
    },
    30_000,
  )

  const code = await service.stop()
  assert.equal(code, 0, service.log())
  assert.match(service.log(), /"msg":"service stops"/)
  assert.match(service.log(), /Stopped receiving/)
  assert.equal(await isReceiving(house), false)
})

void it('a scheduled backup that failed is named until one succeeds, whoever takes it', async () => {
  await using house = await buildHouse()
  const stateDirectory = join(dirname(house.config), 'state')
  await knowCluster(house.pg, { stateDirectory, cluster: 'shop' })
  await house.pg.query(`alter role ${await backupRoleOf(house)} replication`)
  const named = async (): Promise<string[]> => {
    const { stdout } = await backstay(['status', '-c', house.config, '--json'])
    const { backup } = JSON.parse(stdout) as { backup: { problems: string[] } }
    return backup.problems.filter((problem) => problem.includes('the scheduled backup failed'))
  }
  {
    await using service = startService(house)
    await until('the receiver to stream', async () => isReceiving(house), 30_000)
    const passwords = join(house.repository, '.pgpass')
    const right = readFileSync(passwords, 'utf8')
    writeFileSync(passwords, right.replace('backs up', 'wrong'))
    const call = { call: 'trigger', job: 'shop: backup' } as const
    await callService(controlSocketOf(house.repository), call, 5000)
    await until('the failure to be named', async () => (await named()).length === 1, 60_000)
    assert.match((await named())[0] ?? '', /exit code 21/)
    writeFileSync(passwords, right)
    assert.equal(await service.stop(), 0)
  }
  {
    // Another service than the one that saw it fail.
    await using _service = startService(house)
    await until('the receiver to stream', async () => isReceiving(house), 30_000)
    assert.equal((await named()).length, 1)
    const check = await backstay(['check', '-c', house.config, '--nagios'])
    assert.match(check.stdout, /vault backup\.jobs: the scheduled backup failed/)
    assert.match(check.stdout, /'vault_failedJobs'=1/)
    const taken = await backstay(['backup', '-c', house.config])
    assert.equal(taken.code, 0, taken.stderr)
    assert.deepEqual(await named(), [])
  }
})

void it('serve --unit prints a unit and starts nothing', async () => {
  await using house = await buildHouse()
  const { code, stdout } = await backstay(['serve', '--unit', '-c', house.config])
  assert.equal(code, 0)
  assert.match(stdout, new RegExp(`^ExecStart=.* --config ${house.config} serve$`, 'm'))
})
