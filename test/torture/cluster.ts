/**
 * The cluster that is tortured: primary, standby and backup server on this machine, worked on with Backstay's own commands only.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { chownSync } from 'node:fs'
import { cp, lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import type { PostgresMajor } from '../../src/postgres/version.ts'
import { embeddedBinaries } from '../harness/binaries.ts'
import { claimPorts } from '../harness/ports.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../harness/unprivileged-user.ts'
import { until } from '../harness/until.ts'
import { isSystemError } from './system-error.ts'

const LAUNCHER = join(import.meta.dirname, '../../bin/backstay.js')
const COMMAND_TIMEOUT_MS = 300_000
export const SERVER_NAMES = ['db1', 'db2'] as const
export type ServerName = (typeof SERVER_NAMES)[number]

/** What is drawn before a run begins. */
export interface ClusterShape {
  readonly major: PostgresMajor
  readonly checksums: boolean
  readonly segmentMegabytes: number
  /** Commits wait for the standby or the backup server. */
  readonly synchronous: boolean
  readonly archive: boolean
  /** The server notes itself which blocks its WAL changes (17 and later). */
  readonly summaries: boolean
}

/** How a command of Backstay ended and what it said. */
export interface Answer {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Standard output. */
  readonly said: string
  /** Both outputs, for people. */
  readonly text: string
}

/** Programs that are killed with their own pid must not be waited for for ever. */
export interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<Answer>
}

/** One run's cluster; disposing it ends all it started and removes its directory. */
export class TortureCluster implements AsyncDisposable {
  readonly shape: ClusterShape
  readonly path: string
  readonly repository: string
  /** For a restored copy. */
  readonly copyPort: number
  readonly ports: Readonly<Record<ServerName, number>>
  readonly #release: () => Promise<void>
  #service: Started | undefined

  private constructor(shape: ClusterShape, ports: readonly number[]) {
    const base = temporaryDirectory()
    this.shape = shape
    this.path = base.path
    this.repository = join(base.path, 'repository')
    this.ports = { db1: ports[0] as number, db2: ports[1] as number }
    this.copyPort = ports[2] as number
    this.#release = async () => base[Symbol.asyncDispose]()
  }

  /**
   * Builds it: primary, a tablespace, then the standby (which has to have its own place for it on one machine: a tablespace made later
   * would be made in the same directory by both), `serve`.
   */
  static async build(shape: ClusterShape): Promise<TortureCluster> {
    const cluster = new TortureCluster(shape, await claimPorts(3))
    try {
      await cluster.makeDirectory('tablespaces')
      await cluster.makeDirectory('tablespaces/here')
      await cluster.#writeFile(['db1'])
      await cluster.must('up')
      await cluster.query(
        'db1',
        `CREATE TABLESPACE elsewhere LOCATION '${cluster.path}/tablespaces/here'`,
      )
      await cluster.#writeFile(SERVER_NAMES)
      await cluster.must('up')
      await cluster.serve()
      return cluster
    } catch (error) {
      await cluster[Symbol.asyncDispose]()
      throw error
    }
  }

  directory(server: ServerName): string {
    return join(this.path, server)
  }

  /** A directory of PostgreSQL's user below the run's. */
  async makeDirectory(name: string): Promise<string> {
    const path = join(this.path, name)
    await mkdir(path, { recursive: true })
    if (isRoot) chownSync(path, unprivilegedUser.uid, unprivilegedUser.gid)
    return path
  }

  /** Runs a command of Backstay to its end, whatever that is. */
  async run(...words: readonly string[]): Promise<Answer> {
    return await this.start(...words).ended
  }

  /** Runs one that has to succeed. */
  async must(...words: readonly string[]): Promise<Answer> {
    const answer = await this.run(...words)
    if (answer.code !== 0) {
      const end = answer.code ?? answer.signal
      throw new Error(`backstay ${words.join(' ')} ended with ${end}:\n${answer.text}`)
    }
    return answer
  }

  start(...words: readonly string[]): Started {
    const file = ['-c', join(this.path, 'backstay.yaml')]
    const child = spawn(process.execPath, [LAUNCHER, ...words, ...file], {
      cwd: this.path,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    })
    return { child, ended: answerOf(child) }
  }

  /** Starts the backup server's service and waits until it streams. */
  async serve(): Promise<void> {
    const file = ['-c', join(this.path, 'backstay.yaml')]
    const child = spawn(process.execPath, [LAUNCHER, 'serve', '--log-level', 'info', ...file], {
      cwd: this.path,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let log = ''
    child.stderr.on('data', (chunk: Buffer) => (log = `${log}${chunk.toString()}`.slice(-100_000)))
    this.#service = { child, ended: answerOf(child) }
    await until(
      'the backup server to stream',
      () => log.includes('streaming') || failed(child, log),
      60_000,
    )
  }

  /** Ends the service as a crash or as an operator would. */
  async endService(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const service = this.#service
    this.#service = undefined
    service?.child.kill(signal)
    await service?.ended
  }

  /** Runs SQL as superuser; numbers of 64 bits come as text. */
  async query(
    server: ServerName | number,
    sql: string,
    database = 'postgres',
  ): Promise<Record<string, unknown>[]> {
    const client = await this.connect(server, database)
    try {
      const result: unknown = await client.query(sql)
      const last = Array.isArray(result) ? (result.at(-1) as unknown) : result
      return (last as { rows: Record<string, unknown>[] }).rows
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  async connect(server: ServerName | number, database = 'postgres'): Promise<Client> {
    const port = typeof server === 'number' ? server : this.ports[server]
    const client = new Client({
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password: await this.#password(),
      database,
      connectionTimeoutMillis: 5000,
    })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  /** The server that takes writes; throws when there is none, or more than one. */
  async primary(): Promise<ServerName> {
    const found: ServerName[] = []
    for (const name of SERVER_NAMES) {
      const rows = await this.query(name, 'SELECT pg_is_in_recovery() AS standby').catch(() => [])
      if (rows[0]?.['standby'] === false) found.push(name)
    }
    if (found.length === 1) return found[0] as ServerName
    throw new Error(`there is one primary at any time, found: ${found.join(', ') || 'none'}`)
  }

  /** Waits until a server takes writes again. */
  async backAgain(): Promise<void> {
    await until('a primary', () => this.primary().catch(() => undefined), 60_000)
  }

  /** SIGKILL to a server and all its processes. */
  async kill(server: ServerName): Promise<void> {
    await endServer(this.directory(server), 'SIGKILL')
  }

  /** Ends everything and copies all files, logs and repository included. */
  async copyTo(directory: string): Promise<void> {
    await this.#end()
    await cp(this.path, directory, {
      recursive: true,
      verbatimSymlinks: true,
      filter: async (path) => !(await lstat(path)).isSocket(),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
    await this.#release()
  }

  async #end(): Promise<void> {
    await this.endService('SIGKILL')
    // A receiver outlives a service that was killed.
    for (const pid of await processesOf(this.path)) sendSignal(pid, 'SIGKILL')
    for (const name of SERVER_NAMES) await endServer(this.directory(name), 'SIGKILL')
    await endServer(join(this.path, 'copy'), 'SIGKILL')
  }

  async #password(): Promise<string> {
    const text = await readFile(join(this.path, '.backstay/torture/passwords'), 'utf8')
    const line = text.split('\n').find((entry) => entry.includes(':postgres:'))
    if (line === undefined) throw new Error('the superuser has no password in the state directory')
    return line.slice(line.lastIndexOf(':') + 1)
  }

  async #writeFile(servers: readonly ServerName[]): Promise<void> {
    await writeFile(join(this.path, 'backstay.yaml'), this.#clusterFile(servers))
  }

  #clusterFile(servers: readonly ServerName[]): string {
    const { major, checksums, segmentMegabytes, synchronous, archive, summaries } = this.shape
    const parameters = {
      shared_buffers: '32MB',
      max_connections: 40,
      max_prepared_transactions: 10,
      autovacuum: 'off',
      max_wal_size: '256MB',
      checkpoint_timeout: '30s',
      deadlock_timeout: '100ms',
      ...(summaries ? { summarize_wal: 'on' } : {}),
    }
    const here = `${this.path}/tablespaces`
    const lines: Readonly<Record<ServerName, string>> = {
      db1: `role: primary, directory: ${this.directory('db1')}, tablespaces: { "${here}/there": "${here}/here" }`,
      db2: `role: standby, directory: ${this.directory('db2')}, tablespaces: { "${here}/here": "${here}/there" }`,
    }
    const place = `socketDirectory: ${this.path}/sockets`
    return [
      'cluster: torture',
      `postgres: { version: ${major}, binaries: ${embeddedBinaries(major).directory}, osUser: ${unprivilegedUser.name}, checksums: ${checksums}, segmentSize: ${segmentMegabytes}MB, parameters: ${JSON.stringify(parameters)} }`,
      'servers:',
      ...servers.map(
        (name) =>
          `  ${name}: { host: 127.0.0.1, port: ${this.ports[name]}, ${place}, ${lines[name]} }`,
      ),
      `replication: {${synchronous && servers.length > 1 ? ' synchronous: { standbys: 1 },' : ''}${archive ? ' archive: backup,' : ''} keep: 256MB }`,
      `backup: { server: vault, host: 127.0.0.1, repository: ${this.repository}, synchronous: ${synchronous && servers.length > 1}, retention: { count: 4, minimum: 2 } }`,
      '',
    ].join('\n')
  }
}

function failed(child: ChildProcess, log: string): false {
  if (child.exitCode === null && child.signalCode === null) return false
  throw new Error(`backstay serve ended with ${child.exitCode ?? child.signalCode}:\n${log}`)
}

function answerOf(child: ChildProcess): Promise<Answer> {
  let said = ''
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString()
    text = `${text}${chunk.toString()}`.slice(-20_000)
  })
  child.stderr?.on('data', (chunk: Buffer) => (text = `${text}${chunk.toString()}`.slice(-20_000)))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, said, text }))
  })
}

/** Ends the postmaster of a data directory (with SIGKILL its children too) and waits until it is gone. */
export async function endServer(
  directory: string,
  signal: 'SIGKILL' | 'SIGINT' | 'SIGQUIT',
): Promise<void> {
  const pid = await postmasterOf(directory)
  if (pid === undefined) return
  const family = signal === 'SIGKILL' ? [pid, ...(await childrenOf(pid))] : [pid]
  for (const member of family) sendSignal(member, signal)
  await until(
    `the server in ${directory} to end`,
    () => family.every((each) => !isAlive(each)),
    60_000,
  )
}

/** Programs of Backstay that were started with a file below `directory`. */
async function processesOf(directory: string): Promise<number[]> {
  const found: number[] = []
  for (const name of (await readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
    const words = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (words.includes(LAUNCHER) && words.includes(`${directory}/`)) found.push(Number(name))
  }
  return found
}

async function postmasterOf(directory: string): Promise<number | undefined> {
  try {
    const text = await readFile(join(directory, 'postmaster.pid'), 'utf8')
    const pid = Number(text.split('\n')[0])
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8')
    return words.includes('postgres') ? pid : undefined
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ESRCH')) return undefined
    throw error
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map(Number)
}

function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if (isSystemError(error, 'ESRCH')) return false
    throw error
  }
}

function isAlive(pid: number): boolean {
  return sendSignal(pid, 0)
}
