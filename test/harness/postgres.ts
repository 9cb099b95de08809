/**
 * Real PostgreSQL servers for tests, each in a temporary directory on a port of its own. They end with the test:
 * on dispose, at process exit, and by the parent-death signal when the test process is killed.
 */
import { spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
} from 'node:fs'
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { Client, type QueryResult } from 'pg'
import type { PostgresMajor } from '../../src/postgres/version.ts'
import type { ConnectionOptions } from '../../src/wire/connection-options.ts'
import { embeddedBinaries, type TestBinaries } from './binaries.ts'
import { claimPort } from './ports.ts'
import { copyTemplate, initdb, initdbArgumentsOf, TEST_PASSWORD } from './template.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { isRoot, unprivilegedUser } from './unprivileged-user.ts'
import { until } from './until.ts'

export { availableMajors, debianBinaries, matrixMajors } from './binaries.ts'
export { temporaryDirectory } from './temporary-directory.ts'

/** Segments are files of the data directory and go with it, however the server ends; others stay in /dev/shm after SIGKILL. */
const SHARED = { dynamic_shared_memory_type: 'mmap' }
const START_TIMEOUT_MS = 60_000
/** A commit that waits for a standby that is not there waits for ever. */
const QUERY_TIMEOUT_MS = 180_000
const STOP_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const

/** What a test may say about its server. */
export interface TestServerOptions {
  readonly major: PostgresMajor
  /** Appended to postgresql.conf; they win over the harness's. Values are quoted here. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** pg_hba.conf lines put before initdb's. */
  readonly hba?: readonly string[]
  /** Added to `--encoding=UTF8 --locale=C --data-checksums`; `--no-data-checksums` works for every major. */
  readonly initdbArguments?: readonly string[]
  /** Runs initdb anew: servers otherwise share the system identifier of their template. */
  readonly ownIdentifier?: boolean
  /** Programs directory to use instead of the embedded package's (for example `debianBinaries()`). */
  readonly binaries?: string
  /** Leave the server stopped. */
  readonly stopped?: boolean
}

/** How an existing data directory is opened. */
export interface OpenServerOptions {
  readonly major: PostgresMajor
  readonly directory: string
  /** Given on the command line, so they win over whatever the files in the directory say. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  readonly binaries?: string
}

/** A server of a test. */
export interface TestServer extends AsyncDisposable {
  readonly major: PostgresMajor
  readonly directory: string
  readonly host: '127.0.0.1'
  readonly port: number
  readonly socketDirectory: string
  readonly superuser: 'postgres'
  readonly password: string
  readonly binaries: TestBinaries
  readonly connection: ConnectionOptions
  /** Runs SQL on a connection of its own (bigint and numeric come as strings). */
  query(sql: string, database?: string): Promise<Record<string, unknown>[]>
  /** Starts it (again) and waits until it accepts connections. Throws with the end of the log. */
  start(): Promise<void>
  /** Ends it and waits until it is gone; no error when it does not run. Default mode: fast. */
  stop(mode?: keyof typeof STOP_SIGNALS): Promise<void>
  /** SIGKILL to the postmaster and all its children: a crash. Waits until they are gone. */
  kill(): Promise<void>
  /** Pid of the running postmaster. */
  pid(): number | undefined
  /** The server's log so far. */
  log(): Promise<string>
}

/** Makes a new cluster and starts it. */
export async function startPostgres(options: TestServerOptions): Promise<TestServer> {
  const base = temporaryDirectory()
  try {
    const binaries = binariesOf(options)
    const server = await place(base.path, options.major, binaries)
    const create = options.ownIdentifier === true ? initdb : copyTemplate
    await create(
      server.directory,
      binaries,
      initdbArgumentsOf(options.major, options.initdbArguments ?? []),
    )
    await configure(server, options)
    const disposable = handle(server, [], async () => base[Symbol.asyncDispose]())
    if (options.stopped !== true) await disposable.start()
    return disposable
  } catch (error) {
    await base[Symbol.asyncDispose]()
    throw error
  }
}

/** Starts an existing data directory (a restored or cloned one) on a fresh port; dispose stops it and keeps the directory. */
export async function openPostgres(options: OpenServerOptions): Promise<TestServer> {
  const base = temporaryDirectory()
  const server = {
    ...(await place(base.path, options.major, binariesOf(options))),
    directory: options.directory,
  }
  const settings = { ...addressSettings(server), fsync: 'off', ...SHARED, ...options.settings }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const opened = handle(server, flags, async () => base[Symbol.asyncDispose]())
  try {
    await opened.start()
    return opened
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
}

interface Place {
  readonly major: PostgresMajor
  readonly directory: string
  readonly socketDirectory: string
  readonly logFile: string
  readonly port: number
  readonly binaries: TestBinaries
}

async function place(base: string, major: PostgresMajor, binaries: TestBinaries): Promise<Place> {
  const socketDirectory = join(base, 's')
  await mkdir(socketDirectory)
  if (isRoot) chownSync(socketDirectory, unprivilegedUser.uid, unprivilegedUser.gid)
  const logFile = join(base, 'log')
  return {
    major,
    directory: join(base, 'data'),
    socketDirectory,
    logFile,
    port: await claimPort(),
    binaries,
  }
}

function binariesOf(options: { major: PostgresMajor; binaries?: string }): TestBinaries {
  if (options.binaries === undefined) return embeddedBinaries(options.major)
  return { directory: options.binaries, major: options.major, version: `${options.major}` }
}

function addressSettings(server: Place): Record<string, string | number> {
  return {
    listen_addresses: '127.0.0.1',
    port: server.port,
    unix_socket_directories: server.socketDirectory,
  }
}

async function configure(server: Place, options: TestServerOptions): Promise<void> {
  const settings = {
    ...addressSettings(server),
    fsync: 'off',
    ...SHARED,
    wal_level: 'replica',
    max_wal_senders: 10,
    max_replication_slots: 10,
    max_connections: 50,
    shared_buffers: '16MB',
    ...options.settings,
  }
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`,
  )
  await appendFile(join(server.directory, 'postgresql.conf'), `\n${lines.join('')}`)
  const hbaFile = join(server.directory, 'pg_hba.conf')
  const hba = [
    ...(options.hba ?? []),
    'host all all 127.0.0.0/8 scram-sha-256',
    'host replication all 127.0.0.0/8 scram-sha-256',
  ]
  await writeFile(hbaFile, `${hba.join('\n')}\n${await readFile(hbaFile, 'utf8')}`)
}

function handle(server: Place, flags: readonly string[], release: () => Promise<void>): TestServer {
  const { directory, logFile } = server
  const connection: ConnectionOptions = {
    host: '127.0.0.1',
    port: server.port,
    user: 'postgres',
    password: TEST_PASSWORD,
    database: 'postgres',
  }
  const stop = async (mode: keyof typeof STOP_SIGNALS = 'fast'): Promise<void> => {
    const pid = postmasterOf(directory)
    if (pid === undefined) return
    signal(pid, STOP_SIGNALS[mode])
    await until(
      `PostgreSQL in ${directory} to stop (${mode})`,
      () => !isAlive(pid),
      START_TIMEOUT_MS,
    )
  }
  const kill = async (): Promise<void> => {
    const pid = postmasterOf(directory)
    if (pid === undefined) return
    const family = [pid, ...childrenOf(pid)]
    for (const member of family) signal(member, 'SIGKILL')
    await until(`killed PostgreSQL in ${directory} to be gone`, () => !family.some(isAlive))
  }
  return {
    ...server,
    host: '127.0.0.1',
    superuser: 'postgres',
    password: TEST_PASSWORD,
    connection,
    query: async (sql, database = 'postgres') => query({ ...connection, database }, sql),
    start: async () => start(server, flags),
    stop,
    kill,
    pid: () => postmasterOf(directory),
    log: async () => readFile(logFile, 'utf8'),
    async [Symbol.asyncDispose]() {
      await stop('immediate')
      await release()
    },
  }
}

async function query(
  connection: ConnectionOptions,
  sql: string,
): Promise<Record<string, unknown>[]> {
  const { host, port, user, password, database } = connection
  const client = new Client({
    host,
    port,
    user,
    password,
    database,
    connectionTimeoutMillis: 10_000,
    query_timeout: QUERY_TIMEOUT_MS,
  })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const result: unknown = await client.query(sql)
    const last = (Array.isArray(result) ? result.at(-1) : result) as QueryResult<
      Record<string, unknown>
    >
    return last.rows
  } finally {
    await client.end()
  }
}

async function start(server: Place, flags: readonly string[]): Promise<void> {
  const { directory, logFile } = server
  const logAt = existsSync(logFile) ? readFileSync(logFile).length : 0
  const output = openSync(logFile, 'a')
  const [program, ...leading] = asUnprivileged(join(server.binaries.directory, 'postgres'))
  const child = spawn(program as string, [...leading, '-D', directory, ...flags], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', output, output],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
  })
  closeSync(output)
  child.unref()
  let ended: string | undefined
  child.on('error', (error) => (ended = error.message))
  child.on('exit', (code, signalName) => (ended ??= `it ended with ${code ?? signalName}`))
  const fail = (reason: string): Error =>
    new Error(
      `PostgreSQL in ${directory} did not start: ${reason}\n${readFileSync(logFile).subarray(logAt).toString()}`,
    )
  await until(
    `PostgreSQL in ${directory} to start`,
    () => isReady(directory) || ended !== undefined,
    START_TIMEOUT_MS,
  )
  if (ended !== undefined) throw fail(ended)
}

/** setpriv drops the privileges and has the kernel end the server when this process dies. */
function asUnprivileged(program: string): string[] {
  const { uid, gid } = unprivilegedUser
  const drop = isRoot ? [`--reuid=${uid}`, `--regid=${gid}`, '--init-groups'] : []
  return ['setpriv', '--pdeathsig=QUIT', ...drop, '--', program]
}

function isReady(directory: string): boolean {
  if (postmasterOf(directory) === undefined) return false
  const status = readPidFile(directory)[7]?.trim()
  return status === 'ready' || status === 'standby'
}

/** The pid in postmaster.pid if that process works in `directory`: a stale file names nobody or somebody else. */
function postmasterOf(directory: string): number | undefined {
  const pid = Number(readPidFile(directory)[0])
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(directory) ? pid : undefined
  } catch {
    return undefined
  }
}

function readPidFile(directory: string): string[] {
  try {
    return readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n')
  } catch {
    return []
  }
}

function childrenOf(pid: number): number[] {
  const tasks = readdirSync(`/proc/${pid}/task`)
  const lists = tasks.map((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8'))
  return lists
    .join(' ')
    .split(' ')
    .filter((text) => text !== '')
    .map(Number)
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It ended by itself meanwhile.
  }
}

/**
 * A zombie counts as gone: its memory, files and locks are released. Not one of this process, which reaps it in a moment: until then
 * PostgreSQL takes a postmaster.pid that names it for that of a running server.
 */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state !== 'Z' || Number(parent) === process.pid
  } catch {
    return false
  }
}
