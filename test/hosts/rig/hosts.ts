/**
 * The topology of the how-to on one machine: primary, standby and backup server at 192.168.100.10 to .12, and an operator at .1
 * who has Backstay, a key and nothing else.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SWITCHOVER_PHASES } from '../../../src/cluster/journal.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { LAUNCHER } from '../../integration/cli/programs.ts'
import { buildImage } from './image.ts'
import { type Ended, type Family, reapMachines, TestMachine } from './machine.ts'
import { addressOf, type HostNumber, TestNetwork } from './network.ts'
import { HostWriter, WRITER } from './writer.ts'

const NUMBERS: Readonly<Record<HostName, HostNumber>> = { primary: 10, standby: 11, backup: 12 }
const PREFIX = 'backstay-test-'
/** The longest command is `up` of three hosts that have to install PostgreSQL, on a machine that has other work as well. */
const COMMAND_TIMEOUT_MS = 900_000

/** A step of a switchover as its journal calls it. */
export type SwitchoverPhase = (typeof SWITCHOVER_PHASES)[number]

/** A host by what it begins as. */
export type HostName = 'primary' | 'standby' | 'backup'

export const HOST_NAMES: readonly HostName[] = ['primary', 'standby', 'backup']

/** What the operator's command said, and how long it took. */
export interface Operated extends Ended {
  readonly elapsedMs: number
}

/** What the hosts begin with. */
export interface HostsOptions {
  /** PostgreSQL that the distribution's packages brought; a family other than Debian's begins without. */
  readonly withPostgres: boolean
  /** Debian's when left out. For `red-hat` the test has asked `whyNoRedHatHosts`. */
  readonly family?: Family
  /** Three hosts that were switched off, and the desk, where `moveTo` put them: these go on from there. */
  readonly from?: string
}

/** The three hosts and the operator's desk. Disposing takes everything down. */
export class TestHosts implements AsyncDisposable {
  /** The operator's directory: backstay.yaml, ssh_config, known_hosts, id. */
  readonly desk: string
  readonly #base: ReturnType<typeof temporaryDirectory>
  readonly #network: TestNetwork
  readonly #machines: Readonly<Record<HostName, TestMachine>>

  private constructor({ withPostgres, family = 'debian', from }: HostsOptions) {
    reapDeadRuns()
    this.#base = temporaryDirectory()
    const { path } = this.#base
    this.desk = join(path, 'desk')
    mkdirSync(join(path, 't'), { mode: 0o700 })
    if (from === undefined) this.#makeDesk()
    else execFileSync('cp', ['-a', join(from, 'desk'), this.desk])
    const name = `${PREFIX}${process.pid}-${serial++}`
    this.#network = new TestNetwork(name, [10, 11, 12])
    const key = readFileSync(join(this.desk, 'id.pub'), 'utf8')
    const hosts = HOST_NAMES.map((host) => `${addressOf(NUMBERS[host])} ${host}`)
    const make = (host: HostName): TestMachine =>
      new TestMachine({
        id: `${name}-${host}`,
        hostname: host,
        address: addressOf(NUMBERS[host]),
        directory: join(path, host),
        namespace: this.#network.namespaceOf(NUMBERS[host]),
        family,
        withPostgres,
        from: from === undefined ? undefined : join(from, host),
        key,
        hosts,
      })
    this.#machines = { primary: make('primary'), standby: make('standby'), backup: make('backup') }
    this.#writeSshFiles()
  }

  /** Builds the image when needed and boots the three. */
  static async start(options: HostsOptions): Promise<TestHosts> {
    const reason = buildImage()
    if (reason !== undefined) throw new Error(reason)
    const hosts = new TestHosts(options)
    try {
      await Promise.all(Object.values(hosts.#machines).map(async (machine) => machine.boot()))
      return hosts
    } catch (error) {
      await hosts[Symbol.asyncDispose]()
      throw error
    }
  }

  /** One of the hosts. */
  host(name: HostName): TestMachine {
    return this.#machines[name]
  }

  /** Power failure: the host dies at once, and its address answers nothing any more. */
  async powerOff(name: HostName): Promise<void> {
    this.setCable(name, 'down')
    await this.host(name).kill()
  }

  /** Switches it on again; its files are as they were. */
  async powerOn(name: HostName): Promise<void> {
    this.setCable(name, 'up')
    await this.host(name).boot()
  }

  /** Switches all off in order, and moves what they had written, and the desk, to a directory that others can go on from. */
  async moveTo(directory: string): Promise<void> {
    await Promise.all(HOST_NAMES.map(async (name) => this.host(name).shutDown()))
    mkdirSync(directory)
    for (const name of HOST_NAMES) this.host(name).moveTo(join(directory, name))
    execFileSync('mv', ['-T', this.desk, join(directory, 'desk')])
  }

  /** A bare new machine at the address of a host that is lost, switched on, its host key known to the operator. */
  async replaceHost(name: HostName): Promise<void> {
    this.setCable(name, 'down')
    await this.host(name).replace()
    await this.powerOn(name)
    this.writeKnownHosts()
  }

  /** Pulls the network cable of a host, or puts it back. */
  setCable(name: HostName, state: 'up' | 'down'): void {
    this.#network.setCable(NUMBERS[name], state)
  }

  /** Bytes that came to or went from the operator until now. */
  get operatorBytes(): number {
    return this.#network.operatorBytes
  }

  /** Writes the cluster file. */
  writeClusterFile(text: string): void {
    writeFileSync(join(this.desk, 'backstay.yaml'), text)
  }

  /** Writes a file beside it. */
  writeFile(name: string, text: string, mode: number): void {
    writeFileSync(join(this.desk, name), text)
    chmodSync(join(this.desk, name), mode)
  }

  /** Puts the hosts' keys into known_hosts, or empties it. */
  writeKnownHosts(lines: readonly string[] = this.#hostKeys()): void {
    writeFileSync(join(this.desk, 'known_hosts'), lines.map((line) => `${line}\n`).join(''))
  }

  /** Runs a command line of Backstay as the operator. */
  async backstay(...words: readonly string[]): Promise<Operated> {
    return await this.operate([process.execPath, LAUNCHER, ...words])
  }

  /** Starts a command line of Backstay as the operator and kills it (KILL) after a while, when it still runs. */
  async killed(afterMs: number, ...words: readonly string[]): Promise<void> {
    const limit = ['timeout', '--signal=KILL', String(afterMs / 1000)]
    await this.operate([...limit, process.execPath, LAUNCHER, ...words])
  }

  /** Runs `switchover`, and `work` at the moment its journal comes to this phase, or to a later one when that was short. */
  async disturbedSwitchover(
    phase: SwitchoverPhase,
    work: (kill: () => void) => void,
  ): Promise<Operated & { readonly at: SwitchoverPhase | undefined }> {
    const { child, ended } = this.#start([process.execPath, LAUNCHER, 'switchover'])
    const orderOf = (name: SwitchoverPhase): number => SWITCHOVER_PHASES.indexOf(name)
    let at: SwitchoverPhase | undefined
    const timer = setInterval(() => {
      const now = this.#journalPhase()
      if (at !== undefined || now === undefined || orderOf(now) < orderOf(phase)) return
      at = now
      work(() => child.kill('SIGKILL'))
    }, 2)
    const result = await ended
    clearInterval(timer)
    return { ...result, at }
  }

  /** Has a program write rows to whichever server is the primary, one every ten milliseconds, from where the operator sits. */
  startWriter(number: number): HostWriter {
    const servers = (['primary', 'standby'] as const).map((name) => addressOf(NUMBERS[name]))
    const stateDirectory = join(this.desk, '.backstay/shop')
    const order = JSON.stringify({ servers, stateDirectory, number })
    const namespace = `--net=/run/netns/${this.#network.switchNamespace}`
    return new HostWriter(['nsenter', namespace, '--', process.execPath, WRITER, order])
  }

  #journalPhase(): SwitchoverPhase | undefined {
    try {
      const text = readFileSync(join(this.desk, '.backstay/shop/journal.json'), 'utf8')
      return (JSON.parse(text) as { phase: SwitchoverPhase }).phase
    } catch {
      return undefined
    }
  }

  /** Asks a server as superuser, from its own host; the answer without decoration. @throws when it does not answer */
  sql(name: HostName, query: string, database = 'postgres'): string {
    return this.host(name)
      .run(this.#psql(name, query, database))
      .trim()
  }

  /** The same, whatever comes of it; it is ended (124) when there is no answer within some seconds. */
  trySql(name: HostName, query: string): Ended {
    return this.host(name).tryRun(`timeout 5 env ${this.#psql(name, query, 'postgres')}`)
  }

  #psql(name: HostName, query: string, database: string): string {
    const passwords = readFileSync(join(this.desk, '.backstay/shop/passwords'), 'utf8')
    const password = /^\*:\*:\*:postgres:(.*)$/m.exec(passwords)?.[1] ?? ''
    const place = `-h ${addressOf(NUMBERS[name])} -U postgres -d ${database}`
    const quoted = `'${query.replaceAll("'", String.raw`'\''`)}'`
    return `PGPASSWORD=${password} psql -XAtq ${place} -c ${quoted}`
  }

  /** Runs a command of this machine where the operator sits. */
  async operate(command: readonly string[]): Promise<Operated> {
    return await this.#start(command).ended
  }

  #start(command: readonly string[]): {
    readonly child: ChildProcess
    readonly ended: Promise<Operated>
  } {
    const startedAtMs = performance.now()
    const namespace = `--net=/run/netns/${this.#network.switchNamespace}`
    const child = spawn('nsenter', [namespace, '--', ...command], {
      cwd: this.desk,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_TIMEOUT_MS,
      env: {
        TMPDIR: join(this.#base.path, 't'),
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: this.desk,
        USER: 'root',
        LANG: 'C.UTF-8',
      },
    })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    const ended = new Promise<Operated>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (status) =>
        resolve({
          code: status ?? 255,
          stdout,
          stderr,
          elapsedMs: performance.now() - startedAtMs,
        }),
      )
    })
    return { child, ended }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Object.values(this.#machines).map(async (machine) => machine.remove()))
    this.#network[Symbol.dispose]()
    await this.#base[Symbol.asyncDispose]()
  }

  #makeDesk(): void {
    mkdirSync(this.desk, { mode: 0o700 })
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(this.desk, 'id')])
  }

  #hostKeys(): readonly string[] {
    return Object.values(this.#machines).flatMap((machine) => machine.hostKeys)
  }

  #writeSshFiles(): void {
    const lines = [
      'Host *',
      '  User root',
      `  IdentityFile ${join(this.desk, 'id')}`,
      '  IdentitiesOnly yes',
      `  UserKnownHostsFile ${join(this.desk, 'known_hosts')}`,
      '  GlobalKnownHostsFile /dev/null',
    ]
    writeFileSync(join(this.desk, 'ssh_config'), `${lines.join('\n')}\n`)
    this.writeKnownHosts()
  }
}

let serial = 0

/** Removes hosts and networks of tests that were killed. */
function reapDeadRuns(): void {
  const isDead = (name: string): boolean => {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    return pid !== undefined && !isAlive(Number(pid))
  }
  reapMachines(isDead)
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  const names = stdout.split('\n').map((line) => line.split(' ')[0] ?? '')
  for (const name of names.filter(isDead)) spawnSync('ip', ['netns', 'del', name])
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
