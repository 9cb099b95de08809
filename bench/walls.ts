/**
 * What proving costs: time, CPU time and bytes written of a full, of a full that goes on with an interrupted one, and of backups of changed pages, each in
 * a process of its own. With the directory of another checkout (one from before ADR 0033, say) both take turns on the same server.
 * Run: node bench/walls.ts [rounds] [gigabytes] [other checkout]
 */
import { spawn } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { takeBackup as TakeBackup } from '../src/backup/take/take-backup.ts'
import type { fetchedWal as FetchedWal } from '../src/backup/fetched-wal.ts'
import type { DiskStore as Store } from '../src/store/disk-store.ts'
import { systemClock } from '../src/util/clock.ts'
import type { ConnectionOptions } from '../src/wire/connection-options.ts'
import { startPostgres, type TestServer } from '../test/harness/postgres.ts'
import { median } from './figures.ts'

const WORK = join(tmpdir(), `backstay-bench-walls-${process.getuid?.() ?? 0}`)
const WISH = 'BACKSTAY_BENCH_WISH'

interface Wish {
  readonly tree: string
  readonly connection: ConnectionOptions
  readonly repository: string
  readonly full: boolean
  /** The process ends when so much was received. */
  readonly dieAfterBytes?: number
}

interface Measured {
  /** From the call to its result, without the start of the process. */
  readonly seconds: number
  readonly cpuSeconds: number
  readonly writtenMb: number
  readonly method: string
}

if (process.argv[2] === 'child') await child()
else await compare(Number(process.argv[2] ?? 5), Number(process.argv[3] ?? 1.2), process.argv[4])

async function child(): Promise<void> {
  const wish = JSON.parse(process.env[WISH] ?? '{}') as Wish
  const load = async (path: string): Promise<unknown> => await import(join(wish.tree, 'src', path))
  const take = (await load('backup/take/take-backup.ts')) as { takeBackup: typeof TakeBackup }
  const wal = (await load('backup/fetched-wal.ts')) as { fetchedWal: typeof FetchedWal }
  const store = (await load('store/disk-store.ts')) as { DiskStore: typeof Store }
  const begun = performance.now()
  const info = await take.takeBackup({
    cluster: 'bench',
    store: new store.DiskStore(wish.repository),
    clock: systemClock,
    connection: wish.connection,
    server: null,
    wal: wal.fetchedWal(wish.connection),
    label: null,
    full: wish.full,
    workers: 2,
    createdBy: 'bench',
    signal: AbortSignal.timeout(1_800_000),
    onEvent: (event) => {
      const mostBytes = wish.dieAfterBytes ?? Infinity
      if (event.kind === 'progress' && event.receivedBytes >= mostBytes) process.exit(9)
    },
    // So that there is something to go on with.
    ...(wish.dieAfterBytes === undefined ? {} : { packBytes: 32 * 1024 * 1024 }),
  })
  const seconds = (performance.now() - begun) / 1000
  const { userCPUTime, systemCPUTime } = process.resourceUsage()
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6
  const writtenMb = info.bytes.stored / 1e6
  const { resumed } = info
  const method = `${info.method}${resumed === undefined ? '' : ', resumed'}`
  console.log(JSON.stringify({ seconds, cpuSeconds, writtenMb, method } satisfies Measured))
}

async function compare(
  rounds: number,
  gigabytes: number,
  other: string | undefined,
): Promise<void> {
  const here = join(import.meta.dirname, '..')
  const trees = other === undefined ? { here } : { here, other }
  await rm(WORK, { recursive: true, force: true })
  await mkdir(WORK, { recursive: true })
  try {
    for (const way of ['page-lsn', 'incremental'] as const) {
      await using server = await startPostgres({
        major: 18,
        settings: {
          summarize_wal: way === 'incremental' ? 'on' : 'off',
          wal_keep_size: '8GB',
          max_wal_size: '8GB',
          autovacuum: 'off',
        },
      })
      await fill(server, gigabytes)
      if (way === 'page-lsn') await fulls(server, trees, rounds)
      await changed(server, trees, { rounds, way })
    }
  } finally {
    await rm(WORK, { recursive: true, force: true })
  }
}

async function fill(server: TestServer, gigabytes: number): Promise<void> {
  const rows = Math.round((gigabytes * 1e9) / 290)
  await server.query(`create table t (id int, body text) with (autovacuum_enabled = off)`)
  await server.query(
    `insert into t select g, md5(g::text) || ' lorem ipsum dolor sit amet ' || md5((g * 7)::text) || repeat(' consetetur', 14) from generate_series(1, ${rows}) g`,
  )
  await server.query('vacuum freeze t')
  await server.query('checkpoint')
}

/** A full that begins anew, and one that goes on where another ended at 80 %. */
async function fulls(
  server: TestServer,
  trees: Readonly<Record<string, string>>,
  rounds: number,
): Promise<void> {
  const results: Record<string, Measured[]> = {}
  const [row] = await server.query(
    'select sum(pg_database_size(oid))::bigint as n from pg_database',
  )
  const dieAfterBytes = 0.8 * Number(row?.['n'])
  for (let round = 0; round < rounds; round += 1) {
    const common = { connection: server.connection, full: true }
    for (const [name, tree] of Object.entries(trees)) {
      const repository = join(WORK, 'fresh')
      ;(results[`full, anew, ${name}`] ??= []).push(await measure({ ...common, tree, repository }))
      await rm(repository, { recursive: true })
    }
    const broken = { ...common, tree: trees['here'] ?? '', repository: join(WORK, 'broken') }
    await run({ ...broken, dieAfterBytes }, 9)
    ;(results['full, resumed at 80 %, here'] ??= []).push(await measure(broken))
    await rm(broken.repository, { recursive: true })
  }
  report(results)
}

/** A hundredth of the rows changes before each. */
async function changed(
  server: TestServer,
  trees: Readonly<Record<string, string>>,
  { rounds, way }: { readonly rounds: number; readonly way: string },
): Promise<void> {
  const repositoryOf = (name: string): string => join(WORK, `${way}-${name}`)
  const results: Record<string, Measured[]> = {}
  const wishOf = (name: string, full: boolean): Wish => ({
    tree: trees[name] ?? '',
    connection: server.connection,
    repository: repositoryOf(name),
    full,
  })
  for (const name of Object.keys(trees)) await measure(wishOf(name, true))
  for (let round = 0; round < rounds; round += 1) {
    await server.query(`update t set id = id where id % 100 = 0 and id % 1000 < 100`)
    await server.query('checkpoint')
    for (const name of Object.keys(trees)) {
      const measured = await measure(wishOf(name, false))
      ;(results[`${measured.method}, ${name}`] ??= []).push(measured)
    }
  }
  report(results)
  for (const name of Object.keys(trees)) await rm(repositoryOf(name), { recursive: true })
}

async function measure(wish: Wish): Promise<Measured> {
  return JSON.parse(await run(wish, 0)) as Measured
}

async function run(wish: Wish, expected: number): Promise<string> {
  const env = {
    ...process.env,
    [WISH]: JSON.stringify(wish),
    // As bin/backstay.js does: what is measured is the backup, not the reading of TypeScript.
    NODE_COMPILE_CACHE: join(tmpdir(), 'backstay-bench-compile-cache'),
  }
  const argv = [import.meta.filename, 'child']
  const started = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  started.stdout.on('data', (text: Buffer) => {
    output += text.toString()
  })
  const code = await new Promise((resolve) => started.once('close', resolve))
  if (code !== expected) throw new Error(`a backup ended with ${String(code)}: ${output}`)
  return output
}

function report(results: Readonly<Record<string, readonly Measured[]>>): void {
  for (const [name, measured] of Object.entries(results)) {
    const [time, cpu] = (['seconds', 'cpuSeconds'] as const).map((unit) => {
      const values = measured.map((one) => one[unit])
      const all = values.map((value) => value.toFixed(2)).join(' ')
      return `${median(values).toFixed(2)} s (${all})`
    })
    const written = median(measured.map((one) => one.writtenMb)).toFixed(1)
    console.log(`${name}: median ${time}, CPU ${cpu}, stored ${written} MB`)
  }
}
