/**
 * Restoring 3 GB: a full and a fifth changed-pages backup of ours, against `cp -r` + `sync -f` of the same data and, where it
 * is installed, pgBackRest (process-max 2, zst 1). Alternately, each as a process of its own, everything synced.
 * Between the backups 1 % of the rows of the largest table are updated: neighbours, or with `scattered` one in a hundred all over it,
 * so that nearly every page has changed in one of the five.
 * Run: node bench/restore.ts [rounds] [neighbours|scattered]
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { takeBackup } from '../src/backup/take/take-backup.ts'
import { receivedWal } from '../src/backup/wal-availability.ts'
import type { BackupInfo } from '../src/repository/backup-info.ts'
import { DiskStore } from '../src/store/disk-store.ts'
import { systemClock } from '../src/util/clock.ts'
import { openPostgres, type TestServer } from '../test/harness/postgres.ts'
import { claimFor, startReceiver } from '../test/integration/wal/support.ts'
import { isRoot, unprivilegedUser } from '../test/harness/unprivileged-user.ts'
import { ensureDataset } from './dataset.ts'
import { findPgBackRest } from './pgbackrest.ts'
import { median } from './figures.ts'

const SIZE_GB = 3
const CHANGED_BACKUPS = 5
const PROGRAM = join(import.meta.dirname, '../bin/backstay.js')

const ROWS: Readonly<Record<string, (round: number) => string>> = {
  neighbours: (round) =>
    `aid > ${round} * (select max(aid) from accounts) / 100 and aid <= ${round + 1} * (select max(aid) from accounts) / 100`,
  scattered: (round) => `aid % 100 = ${round}`,
}

interface Contender {
  readonly name: string
  /** Fills `directory`, synced. */
  run(directory: string): void
}

const rows = ROWS[process.argv[3] ?? 'neighbours']
if (rows === undefined) throw new Error('The second word is neighbours or scattered')
await bench(Number(process.argv[2] ?? 5))

async function bench(rounds: number): Promise<void> {
  const base = await mkdtemp(join(tmpdir(), 'backstay-bench-restore-'))
  await chmod(base, 0o755)
  if (isRoot) await chown(base, unprivilegedUser.uid, unprivilegedUser.gid)
  try {
    const contenders = await prepare(base)
    const seconds = new Map(contenders.map(({ name }) => [name, [] as number[]]))
    for (let round = 0; round < rounds; round += 1) {
      for (const contender of contenders) {
        const directory = join(base, 'restored')
        await rm(directory, { recursive: true, force: true })
        execFileSync('sync', ['-f', base])
        const startedAt = performance.now()
        contender.run(directory)
        seconds.get(contender.name)?.push((performance.now() - startedAt) / 1000)
      }
    }
    report(seconds)
  } finally {
    await rm(base, { recursive: true, force: true })
  }
}

async function prepare(base: string): Promise<Contender[]> {
  const dataset = await ensureDataset({ sizeGb: SIZE_GB })
  const data = join(base, 'data')
  await copyStopped(dataset.directory, data)
  const repository = join(base, 'repository')
  const backups: BackupInfo[] = []
  {
    const { binaries } = dataset
    const settings = { max_wal_size: '8GB', fsync: 'off' }
    await using server = await openPostgres({ major: 15, directory: data, binaries, settings })
    const cluster = await claimFor(server, repository)
    await using receiver = startReceiver(server, cluster)
    backups.push(await backUp(server, repository))
    for (let number = 0; number < CHANGED_BACKUPS; number += 1) {
      await server.query(
        `UPDATE accounts SET abalance = abalance + 1 WHERE ${rows?.(number) ?? ''}; CHECKPOINT`,
      )
      backups.push(await backUp(server, repository))
    }
    await receiver.stop()
    await server.stop('fast')
  }
  describe(backups)
  const [full, fifth] = [backups[0], backups.at(-1)] as [BackupInfo, BackupInfo]
  return [
    { name: 'cp -r + sync -f', run: (directory) => copy(data, directory) },
    { name: 'ours, full', run: (directory) => restore(repository, full.id, directory) },
    { name: 'ours, fifth changed-pages', run: (d) => restore(repository, fifth.id, d) },
    ...(await pgBackRest(base, data)),
  ]
}

/** Another benchmark may have started the data set in place: a copy of it is good only when it was stopped all the while. */
async function copyStopped(from: string, to: string): Promise<void> {
  const isRunning = (): boolean => existsSync(join(from, 'postmaster.pid'))
  for (let attempt = 1; attempt <= 30; attempt += 1) {
    if (!isRunning()) {
      const { status } = spawnSync('cp', ['-a', from, to])
      if (status === 0 && !isRunning() && !existsSync(join(to, 'postmaster.pid'))) return
      await rm(to, { recursive: true, force: true })
    }
    await delay(10_000)
  }
  throw new Error(`the data set in ${from} is in use`)
}

async function backUp(server: TestServer, repository: string): Promise<BackupInfo> {
  return await takeBackup({
    cluster: 'shop',
    store: new DiskStore(repository),
    clock: systemClock,
    connection: server.connection,
    server: null,
    wal: receivedWal,
    label: null,
    full: false,
    workers: 2,
    createdBy: 'bench',
    signal: new AbortController().signal,
    onEvent: () => {},
  })
}

function restore(repository: string, id: string, directory: string): void {
  const words = ['restore', id, directory, '--target-immediate', '--quiet']
  const place = ['--repository', repository, '--cluster', 'shop']
  run(process.execPath, [PROGRAM, ...words, ...place])
}

function copy(data: string, directory: string): void {
  run('cp', ['-r', data, directory])
  run('sync', ['-f', directory])
}

/** Its backup is taken from the stopped server. */
async function pgBackRest(base: string, data: string): Promise<Contender[]> {
  const found = findPgBackRest()
  if (found === undefined) return []
  const config = join(base, 'pgbackrest.conf')
  const folders = ['repository-peer', 'peer-log', 'peer-lock', 'peer-spool'].map((name) =>
    join(base, name),
  )
  for (const folder of folders) await mkdir(folder)
  const lines = [
    '[global]',
    `repo1-path=${folders[0]}`,
    `log-path=${folders[1]}`,
    `lock-path=${folders[2]}`,
    `spool-path=${folders[3]}`,
    'process-max=2',
    'compress-type=zst',
    'compress-level=1',
    'log-level-console=error',
    'log-level-file=off',
    '[bench]',
    `pg1-path=${data}`,
    '',
  ]
  await writeFile(config, lines.join('\n'))
  if (isRoot) {
    for (const path of folders) await chown(path, unprivilegedUser.uid, unprivilegedUser.gid)
  }
  const peer = (...words: string[]): void =>
    runAsUser(found.program, [`--config=${config}`, '--stanza=bench', ...words])
  peer('--no-online', 'stanza-create')
  peer('--no-online', '--type=full', 'backup')
  const restoreWith = (directory: string): void => {
    execFileSync('install', ['-d', '-m', '700', '-o', unprivilegedUser.name, directory])
    peer(`--pg1-path=${directory}`, '--type=none', 'restore')
  }
  return [{ name: 'pgBackRest, full', run: restoreWith }]
}

function runAsUser(command: string, words: readonly string[]): void {
  if (!isRoot) return run(command, words)
  const { uid, gid } = unprivilegedUser
  const drop = [`--reuid=${uid}`, `--regid=${gid}`, '--init-groups', '--']
  run('setpriv', [...drop, command, ...words])
}

function run(command: string, words: readonly string[]): void {
  const { status, stderr } = spawnSync(command, words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${words.join(' ')}: ${status} ${stderr}`)
}

function describe(backups: readonly BackupInfo[]): void {
  for (const { id, type, bytes } of backups) {
    const [database, stored] = [bytes.database, bytes.stored].map((n) => (n / 1e6).toFixed(1))
    console.log(`${id} ${type}: ${database} MB, ${stored} MB stored`)
  }
}

function report(seconds: ReadonlyMap<string, readonly number[]>): void {
  const copied = median(seconds.get('cp -r + sync -f') ?? [])
  for (const [name, times] of seconds) {
    const all = times.map((time) => time.toFixed(2)).join(' ')
    const ratio = (median(times) / copied).toFixed(2)
    console.log(`${name}: median ${median(times).toFixed(2)} s, ${ratio} × cp (${all})`)
  }
}
