/**
 * Taking backups: ours, streamed and read where the data lies, against pgBackRest where it is installed, alternately, each as a process
 * of its own, by the user whose the files are, on the same server.
 * A full into an empty repository, then what follows an update of 1 % of the rows of the largest table.
 * Run: node bench/backup.ts [rounds] [major]
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fetchedWal } from '../src/backup/fetched-wal.ts'
import { takeBackup } from '../src/backup/take/take-backup.ts'
import type { PostgresMajor } from '../src/postgres/version.ts'
import { DiskStore } from '../src/store/disk-store.ts'
import { systemClock } from '../src/util/clock.ts'
import type { ConnectionOptions } from '../src/wire/connection-options.ts'
import { embeddedBinaries } from '../test/harness/binaries.ts'
import { openPostgres, type TestServer } from '../test/harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../test/harness/unprivileged-user.ts'
import { ensureDataset } from './dataset.ts'
import { findPgBackRest } from './pgbackrest.ts'
import { median } from './figures.ts'

const SIZE_GB = 3
const WORK = join(tmpdir(), `backstay-bench-backup-${process.getuid?.() ?? 0}`)
const WISH = 'BACKSTAY_BENCH_WISH'

interface Wish {
  readonly connection: ConnectionOptions
  readonly repository: string
  /** The data directory, where its files are to be read. */
  readonly directory: string | undefined
}

const WAYS = ['streamed', 'read'] as const
type Way = (typeof WAYS)[number]

interface Measured {
  readonly seconds: number
  readonly megabytes: number
  readonly rssMb: number
  readonly note: string
}

/** Whoever reads the files has to own them; the peer does, too. */
const asOwner = isRoot
  ? [
      'setpriv',
      `--reuid=${unprivilegedUser.uid}`,
      `--regid=${unprivilegedUser.gid}`,
      '--clear-groups',
    ]
  : []

const isChild = process.argv[2] === 'ours'
const peer = isChild ? undefined : findPgBackRest()
if (isChild) await ours()
else await compare(Number(process.argv[2] ?? 3), Number(process.argv[3] ?? 15) as PostgresMajor)

async function compare(rounds: number, major: PostgresMajor): Promise<void> {
  const binaries = major === 15 ? {} : { binaries: embeddedBinaries(major).directory }
  const dataset = await ensureDataset({ sizeGb: SIZE_GB, major, ...binaries })
  const settings = {
    ...(major >= 13 ? { wal_keep_size: '4GB' } : {}),
    ...(major >= 17 ? { summarize_wal: 'on' } : {}),
    max_wal_size: '4GB',
    autovacuum: 'off',
  }
  await rm(WORK, { recursive: true, force: true })
  await own(WORK)
  try {
    // A copy: the rows are going to be updated.
    const directory = join(WORK, 'data')
    await run(['cp', '-a', '--reflink=auto', dataset.directory, directory], process.env)
    await using server = await openPostgres({
      major,
      directory,
      settings,
      binaries: dataset.binaries,
    })
    await full(server, rounds)
    await changed(server, rounds)
  } finally {
    await rm(WORK, { recursive: true, force: true })
  }
}

async function full(server: TestServer, rounds: number): Promise<void> {
  const results: Record<string, Measured[]> = { streamed: [], read: [], pgBackRest: [] }
  for (let round = 0; round < rounds; round += 1) {
    await empty(...WAYS, 'pgbackrest')
    for (const way of WAYS) results[way]?.push(await measureOurs(server, way))
    if (peer !== undefined) {
      await pgBackRest(server, ['stanza-create'])
      results['pgBackRest']?.push(await pgBackRest(server, ['backup', '--type=full']))
    }
  }
  report('full', results)
}

/** Another hundredth of the rows each round, neighbours as the newest rows of a table are. */
function onePercent(round: number): string {
  const rows = '(select max(aid) from accounts) / 100'
  return `update accounts set abalance = abalance + 1 where aid > ${round} * ${rows} and aid <= ${round + 1} * ${rows}`
}

async function changed(server: TestServer, rounds: number): Promise<void> {
  const results: Record<string, Measured[]> = { streamed: [], read: [], pgBackRest: [] }
  for (let round = 0; round < rounds; round += 1) {
    await server.query(onePercent(round))
    await server.query('checkpoint')
    for (const way of WAYS) results[way]?.push(await measureOurs(server, way))
    if (peer !== undefined)
      results['pgBackRest']?.push(await pgBackRest(server, ['backup', '--type=incr']))
  }
  report('1 % of the rows of the largest table updated', results)
}

/** The child's work. */
async function ours(): Promise<void> {
  const { connection, repository, directory } = JSON.parse(process.env[WISH] ?? '{}') as Wish
  const info = await takeBackup({
    cluster: 'bench',
    store: new DiskStore(repository),
    clock: systemClock,
    connection,
    server: null,
    wal: fetchedWal(connection),
    ...(directory === undefined ? {} : { files: { directory, otherwise: 'fail' } }),
    label: null,
    full: false,
    workers: 2,
    createdBy: 'bench',
    signal: AbortSignal.timeout(600_000),
    onEvent: (event) => {
      if (event.kind === 'step') console.error(`${performance.now().toFixed(0)} ms ${event.text}`)
    },
  })
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
  const cpu = `${(userCPUTime / 1e6).toFixed(2)} + ${(systemCPUTime / 1e6).toFixed(2)}`
  console.log(
    JSON.stringify({
      rssMb: Math.round(maxRSS / 1024),
      note: `${info.method}, CPU ${cpu} s (user + system)`,
    }),
  )
}

async function measureOurs(server: TestServer, way: Way): Promise<Measured> {
  const repository = join(WORK, way)
  const directory = way === 'read' ? server.directory : undefined
  const wish: Wish = { connection: server.connection, repository, directory }
  const before = await packBytes(repository)
  const environment = {
    ...process.env,
    [WISH]: JSON.stringify(wish),
    // As bin/backstay.js does.
    NODE_COMPILE_CACHE: join(WORK, 'compile-cache'),
  }
  const { seconds, output } = await run(
    [...asOwner, process.execPath, import.meta.filename, 'ours'],
    environment,
  )
  const said = JSON.parse(output) as { rssMb: number; note: string }
  return { seconds, megabytes: ((await packBytes(repository)) - before) / 1e6, ...said }
}

async function pgBackRest(server: TestServer, command: readonly string[]): Promise<Measured> {
  const repository = join(WORK, 'pgbackrest')
  const before = await directoryBytes(join(repository, 'backup'))
  const options = {
    stanza: 'bench',
    'pg1-path': server.directory,
    'pg1-port': server.port,
    'pg1-socket-path': server.socketDirectory,
    'pg1-user': server.superuser,
    'repo1-path': repository,
    'repo1-bundle': 'y',
    ...(peer?.hasBlocks === true ? { 'repo1-block': 'y' } : {}),
    ...(command[0] === 'backup'
      ? {
          'start-fast': 'y',
          'archive-check': 'n',
          'compress-type': 'zst',
          'compress-level': 1,
          'process-max': 2,
        }
      : {}),
    'lock-path': join(WORK, 'lock'),
    'log-path': join(WORK, 'log'),
  }
  const file = join(WORK, 'pgbackrest.conf')
  const { stanza, ...global } = options
  const lines = Object.entries(global).map(([name, value]) => `${name}=${value}`)
  const stanzaLines = lines.filter((line) => line.startsWith('pg1-'))
  const globalLines = lines.filter((line) => !line.startsWith('pg1-'))
  await writeFile(file, ['[global]', ...globalLines, `[${stanza}]`, ...stanzaLines, ''].join('\n'))
  const environment = { ...process.env, PGPASSWORD: server.password }
  const { seconds } = await run(
    [...asOwner, peer?.program ?? '', `--config=${file}`, `--stanza=${stanza}`, ...command],
    environment,
  )
  return {
    seconds,
    megabytes: ((await directoryBytes(join(repository, 'backup'))) - before) / 1e6,
    rssMb: 0,
    note: '',
  }
}

async function run(
  command: string[],
  env: NodeJS.ProcessEnv,
): Promise<{ seconds: number; output: string }> {
  const [program = '', ...argv] = command
  const started = performance.now()
  const child = spawn(program, argv, {
    env,
    cwd: '/',
    stdio: ['ignore', 'pipe', process.argv.includes('--verbose') ? 'inherit' : 'ignore'],
  })
  let output = ''
  child.stdout?.on('data', (text: Buffer) => {
    output += text.toString()
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${String(code)}: ${output}`)
  return { seconds: (performance.now() - started) / 1000, output }
}

async function own(path: string): Promise<void> {
  await mkdir(path, { recursive: true })
  if (isRoot) await chown(path, unprivilegedUser.uid, unprivilegedUser.gid)
}

async function empty(...names: string[]): Promise<void> {
  for (const name of names) {
    await rm(join(WORK, name), { recursive: true, force: true })
    await own(join(WORK, name))
  }
}

/** Packs and manifests, without WAL. */
async function packBytes(repository: string): Promise<number> {
  const root = join(repository, 'bench')
  return (await directoryBytes(join(root, 'packs'))) + (await directoryBytes(join(root, 'backups')))
}

async function directoryBytes(path: string): Promise<number> {
  if (!existsSync(path)) return 0
  let bytes = 0
  for (const item of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (item.isFile()) bytes += (await stat(join(item.parentPath, item.name))).size
  }
  return bytes
}

function report(what: string, results: Record<string, readonly Measured[]>): void {
  console.log(`\n${what}`)
  for (const [name, measured] of Object.entries(results)) {
    if (measured.length === 0) continue
    const seconds = measured.map((one) => one.seconds)
    const all = seconds.map((value) => value.toFixed(2)).join(' ')
    const rss = Math.max(...measured.map((one) => one.rssMb))
    const last = measured.at(-1)
    console.log(
      `  ${name.padEnd(12)} median ${median(seconds).toFixed(2)} s (${all}), stored ${median(measured.map((one) => one.megabytes)).toFixed(1)} MB${rss > 0 ? `, RSS ${rss} MB, ${last?.note}` : ''}`,
    )
  }
}
