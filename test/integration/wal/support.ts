/**
 * Receivers for tests: in this process, or in one of their own that can be killed.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatLsn, type Lsn, parseLsn } from '../../../src/postgres/lsn.ts'
import { claimCluster, type ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { readReceiverStatus, type ReceiverStatus } from '../../../src/wal/receiver-status.ts'
import type { ReceiverEvent, ReceiverOptions } from '../../../src/wal/receiver-options.ts'
import { restoreCommand } from '../../../src/wal/restore-command.ts'
import { receiveWal } from '../../../src/wal/receiver.ts'
import { spoolOf } from '../../../src/wal/spool-place.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { parseSize } from '../../../src/util/size.ts'
import { openPostgres, type TestServer } from '../../harness/postgres.ts'
import type { PostgresMajor } from '../../../src/postgres/version.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'

export const SLOT = 'backstay_test'
const LAUNCHER = join(import.meta.dirname, '../../../bin/backstay.js')

/** A repository in `directory` that belongs to the server's cluster. */
export async function claimFor(pg: TestServer, directory: string): Promise<ClusterRepository> {
  await using connection = await ReplicationConnection.connect(pg.connection)
  const { systemIdentifier } = await connection.identifySystem()
  const segmentBytes = parseSize(await connection.show('wal_segment_size')) as number
  return await claimCluster({
    store: new DiskStore(directory),
    name: 'shop',
    server: { systemIdentifier, major: pg.major, segmentBytes },
    clock: systemClock,
  })
}

export interface RunningReceiver extends AsyncDisposable {
  readonly repository: ClusterRepository
  readonly events: readonly ReceiverEvent[]
  status(): Promise<ReceiverStatus | undefined>
  /** Ends it in order. */
  stop(): Promise<void>
}

/** Runs a receiver in this process. */
export function startReceiver(
  pg: TestServer,
  repository: ClusterRepository,
  change: Partial<ReceiverOptions> = {},
): RunningReceiver {
  const events: ReceiverEvent[] = []
  const stopping = new AbortController()
  const running = receiveWal(
    {
      repository,
      servers: [{ ...pg.connection, applicationName: 'vault' }],
      slot: SLOT,
      createSlot: true,
      clock: systemClock,
      onEvent: (event) => events.push(event),
      ...change,
    },
    stopping.signal,
  )
  const stop = async (): Promise<void> => {
    stopping.abort()
    await running
  }
  running.catch(() => undefined)
  return {
    repository,
    events,
    status: async () => readReceiverStatus(spoolOf(repository).directory),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Runs a receiver in a process of its own; dispose kills it. */
export function spawnReceiver(pg: TestServer, directory: string): RunningProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'receiver-process.ts')], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  const { host, port, user, password } = pg.connection
  const connection = { host, port, user, password, applicationName: 'vault' }
  child.stdin.end(JSON.stringify({ directory, connection, slot: SLOT }))
  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
  return { child, kill, [Symbol.asyncDispose]: async () => kill() }
}

export interface RunningProcess extends AsyncDisposable {
  readonly child: ChildProcess
  kill(signal?: NodeJS.Signals): Promise<void>
}

/** Waits until everything the server has flushed was acknowledged as flushed, and returns that position. */
export async function untilReceived(pg: TestServer): Promise<Lsn> {
  return await until('the receiver to have acknowledged all WAL', async () => {
    const [row] = await pg.query(`
      select pg_current_wal_flush_lsn()::text as ours, flush_lsn::text as theirs
      from pg_stat_replication where application_name = 'vault'`)
    const [ours, theirs] = [row?.['ours'], row?.['theirs']].map((lsn) => parseLsn(String(lsn)))
    return ours !== undefined && theirs !== undefined && theirs >= ours ? theirs : undefined
  })
}

/** Switches the segment; returns the name of the one that was finished. */
export async function switchWal(pg: TestServer): Promise<string> {
  const [row] = await pg.query('select pg_walfile_name(pg_switch_wal()) as name')
  return String(row?.['name'])
}

/** Finished segments in the primary's pg_wal that the slot or recency kept, by name. */
export function primarySegments(pg: TestServer, upTo: string): Map<string, Buffer> {
  const folder = join(pg.directory, 'pg_wal')
  const names = readdirSync(folder).filter((name) => /^[0-9A-F]{24}$/.test(name) && name <= upTo)
  return new Map(names.map((name) => [name, readFileSync(join(folder, name))]))
}

/** Waits until a segment is in the repository and returns it. */
export async function storedSegment(repository: ClusterRepository, name: string): Promise<Buffer> {
  return await until(`segment ${name} to be in the repository`, async () =>
    repository.wal.getSegment(name),
  )
}

export const spellLsn = (lsn: Lsn | undefined): string => (lsn === undefined ? '-' : formatLsn(lsn))

/** About 20 MB of WAL. */
export const LOAD = `
  create table if not exists load(id bigserial primary key, text text);
  insert into load(text) select repeat(md5(i::text), 30) from generate_series(1, 20000) i;
`

/** Waits until segment `last` is stored, then compares every segment of its timeline that the primary still has. */
export async function assertSameAsPrimary(
  pg: TestServer,
  repository: ClusterRepository,
  last: string,
  atLeast = 2,
): Promise<void> {
  await untilReceived(pg)
  await storedSegment(repository, last)
  let compared = 0
  for (const [name, content] of primarySegments(pg, last)) {
    if (name.slice(0, 8) !== last.slice(0, 8)) continue
    const stored = await repository.wal.getSegment(name)
    // What the primary finished before the receiver first came is not there.
    if (stored === undefined && compared === 0) continue
    assert.ok(stored?.equals(content), `segment ${name} differs or is missing`)
    compared += 1
  }
  assert.ok(compared >= atLeast, `only ${compared} segments compared`)
}

/** Copies the data directory of a stopped server. */
export function copyDirectory(from: string, to: string): void {
  execFileSync('cp', ['-a', from, to])
}

/** A standby made from a cold copy of `pg`, which is started again afterwards; it streams from `pg`. */
export async function cloneStandby(pg: TestServer, directory: string): Promise<TestServer> {
  await pg.stop()
  copyDirectory(pg.directory, directory)
  await pg.start()
  const { host, port, user, password } = pg.connection
  const conninfo = `host=${host} port=${port} user=${user} password=${password} application_name=standby`
  const settings = [`primary_conninfo = '${conninfo}'`, `recovery_target_timeline = 'latest'`]
  const owner = statSync(directory)
  const write = (name: string, text: string): void => {
    writeFileSync(join(directory, name), text, { flag: 'a' })
    chownSync(join(directory, name), owner.uid, owner.gid)
  }
  if (pg.major >= 12) {
    write('standby.signal', '')
    write('postgresql.auto.conf', `${settings.join('\n')}\n`)
  } else {
    write('recovery.conf', `standby_mode = 'on'\n${settings.join('\n')}\n`)
  }
  return await openPostgres({ major: pg.major, directory, settings: { hot_standby: 'on' } })
}

/** Promotes a standby and waits until it accepts writes. */
export async function promote(pg: TestServer): Promise<void> {
  // A query that waits for the promotion can be what replay waits for.
  if (pg.major >= 12) await pg.query('select pg_promote(false)')
  else {
    writeFileSync(join(pg.directory, 'promote'), '')
    process.kill(pg.pid() as number, 'SIGUSR1')
  }
  await until('the standby to be promoted', async () => {
    const [row] = await pg.query('select not pg_is_in_recovery() as promoted')
    return row?.['promoted'] === true
  })
}

/** The command an operator would put into restore_command, of this checkout. */
export function restoreCommandFor(repositoryDirectory: string): string {
  return restoreCommand({
    program: [process.execPath, LAUNCHER],
    place: { repository: repositoryDirectory },
    cluster: 'shop',
    standby: false,
  })
}

/** Lets the OS user that runs PostgreSQL read a repository that root wrote. */
export function giveToServer(directory: string): void {
  if (isRoot) execFileSync('chown', ['-R', unprivilegedUser.name, directory])
}

/** Opens a data directory in archive recovery and waits until it accepts writes. */
export async function recover(
  major: PostgresMajor,
  directory: string,
  restore: { command: string; settings?: Record<string, string> },
): Promise<TestServer> {
  const owner = statSync(directory)
  const write = (name: string, text: string): void => {
    writeFileSync(join(directory, name), text, { flag: 'a' })
    chownSync(join(directory, name), owner.uid, owner.gid)
  }
  const settings = { recovery_target_timeline: 'latest', ...restore.settings }
  const lines = Object.entries({ restore_command: restore.command, ...settings })
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join('')
  if (major >= 12) {
    write('recovery.signal', '')
    write('postgresql.auto.conf', lines)
  } else {
    write('recovery.conf', lines)
  }
  const pg = await openPostgres({
    major,
    directory,
    settings: { synchronous_standby_names: '' },
  })
  const isOpen = async (): Promise<boolean> => {
    const [row] = await pg.query('select not pg_is_in_recovery() as open')
    return row?.['open'] === true
  }
  try {
    await until('recovery to end', isOpen, 120_000)
  } catch (error) {
    throw new Error(`${String(error)}\n${(await pg.log()).slice(-4000)}`, { cause: error })
  }
  return pg
}
