/**
 * One test host: a file system of its own over the image, systemd as its process 1, sshd. It can lose its power and be switched
 * on again with its files as they were.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { until } from '../../harness/until.ts'
import { IMAGE, RED_HAT_LAYER } from './image.ts'

const CGROUPS = '/sys/fs/cgroup'
const BOOT_TIMEOUT_MS = 60_000
/** PostgreSQL ends in it, on a machine that has other work as well. */
const SHUTDOWN_TIMEOUT_MS = 120_000
/** `cpuset` has no CPUs in a new group: nothing may enter it. */
const LEFT_ALONE = ['cpuset']

/** What a host is to whoever installs on it: apt or dnf, and everything that comes with them. */
export type Family = 'debian' | 'red-hat'

/** Layers that make a bare host of the base. */
const BARE: Readonly<Record<Family, readonly string[]>> = {
  debian: [],
  'red-hat': [join(IMAGE, RED_HAT_LAYER)],
}

/** What makes a host this host. */
export interface MachineOptions {
  /** Unique on this machine: names its cgroup and its nspawn machine. */
  readonly id: string
  readonly hostname: string
  readonly address: string
  /** Holds root file system, log and changes; goes with the set of hosts. */
  readonly directory: string
  readonly namespace: string
  readonly family: Family
  /** On Debian only. */
  readonly withPostgres: boolean
  /** What a host had written that was switched off: this one goes on from there. */
  readonly from: string | undefined
  /** Line of authorized_keys for root. */
  readonly key: string
  /** Lines of /etc/hosts. */
  readonly hosts: readonly string[]
}

/** How a command in a host ended. */
export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A host. */
export class TestMachine {
  readonly options: MachineOptions
  #holder: ChildProcess | undefined

  /** Lays out its file system; `boot` starts it. */
  constructor(options: MachineOptions) {
    this.options = options
    const { family, withPostgres, from } = options
    const lower = withPostgres ? [join(IMAGE, 'pg')] : BARE[family]
    this.#mount(from === undefined ? lower : [from, ...lower])
    if (from === undefined) this.#customise()
  }

  get root(): string {
    return join(this.options.directory, 'root')
  }

  /** Lines for known_hosts. */
  get hostKeys(): readonly string[] {
    const key = readFileSync(join(this.root, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8')
    return [`${this.options.address} ${key.split(' ').slice(0, 2).join(' ')}`]
  }

  /** Gives it another host key, as a reinstallation does. */
  renewHostKey(): void {
    this.#makeHostKey()
    this.run('systemctl restart ssh')
  }

  /** Another machine in its place, at the same address: nothing is installed on it, and nothing of the old one is left. It is off. */
  async replace(): Promise<void> {
    await this.kill()
    const { directory, family } = this.options
    execFileSync('umount', ['--lazy', this.root])
    for (const name of ['upper', 'work']) rmSync(join(directory, name), { recursive: true })
    this.#mount(BARE[family])
    this.#customise()
  }

  /** Switches it on and waits until systemd has done its first jobs. */
  async boot(): Promise<void> {
    const { id, hostname, directory, namespace } = this.options
    const log = openSync(join(directory, 'console.log'), 'a')
    const words = [
      '--quiet',
      '--boot',
      '--register=no',
      '--keep-unit',
      `--directory=${this.root}`,
      `--machine=${id}`,
      `--hostname=${hostname}`,
      `--network-namespace-path=/run/netns/${namespace}`,
      '--capability=CAP_NET_ADMIN',
      '--resolv-conf=off',
      '--timezone=off',
      '--link-journal=no',
      '--console=pipe',
      `--bind-ro=${IMAGE}/debs:/srv/debs`,
    ]
    // There is no systemd on this machine that could give it a cgroup: the shell enters one before it becomes nspawn.
    const enter =
      'for group; do case $group in --) break;; esac; echo $$ >"$group/cgroup.procs"; done'
    const script = `${enter}; while [ "$1" != -- ]; do shift; done; shift; exec systemd-nspawn "$@"`
    const command = ['bash', '-c', script, id, ...this.#makeGroups(), '--', ...words]
    // nspawn ends with the test, however that ends; what it had started, the next run ends (reapMachines).
    this.#holder = spawn('setpriv', ['--pdeathsig=KILL', '--', ...command], {
      stdio: ['ignore', log, log],
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'network',
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1',
      },
    })
    const state = '[ -n "$(ss -Hltn sport = :22)" ] && systemctl is-system-running'
    const isUp = (): boolean => /running|degraded/.test(this.tryRun(state).stdout)
    await until(`host ${hostname} to boot (${directory}/console.log)`, isUp, BOOT_TIMEOUT_MS)
  }

  /** Power failure: every process dies at once. */
  async kill(): Promise<void> {
    const holder = this.#holder
    if (holder === undefined) return
    const ended = new Promise<void>((resolve) => holder.once('close', () => resolve()))
    const init = this.#init()
    if (init === undefined) holder.kill('SIGKILL')
    else process.kill(init, 'SIGKILL')
    await ended
    this.#holder = undefined
  }

  /** Switches it off in order and waits until it is. */
  async shutDown(): Promise<void> {
    const holder = this.#holder
    if (holder === undefined) return
    this.run('systemctl poweroff')
    const isOff = (): boolean => holder.exitCode !== null || holder.signalCode !== null
    await until(`host ${this.options.hostname} to switch off`, isOff, SHUTDOWN_TIMEOUT_MS)
    this.#holder = undefined
  }

  /** Ends the host, which is off, and moves what it had written to a directory that another can go on from. */
  moveTo(directory: string): void {
    execFileSync('umount', [this.root])
    execFileSync('mv', ['-T', join(this.options.directory, 'upper'), directory])
  }

  /** Runs a shell line as root and returns its output. @throws when it fails */
  run(line: string): string {
    const { code, stdout, stderr } = this.tryRun(line)
    if (code === 0) return stdout
    const { hostname } = this.options
    throw new Error(`on ${hostname}: ${line}: exit code ${code}: ${stderr || stdout}`)
  }

  /** The same, whatever it ends with; a host that is off gives 255. */
  tryRun(line: string): Ended {
    const init = this.#init()
    if (init === undefined) return { code: 255, stdout: '', stderr: 'it is off' }
    const spaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--root', '--wd']
    const words = ['--target', String(init), ...spaces, 'bash', '-c', line]
    const env = { HOME: '/root', PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' }
    const { status, stdout, stderr } = spawnSync('nsenter', words, { encoding: 'utf8', env })
    return { code: status ?? 255, stdout, stderr }
  }

  /** Takes its file system down, once it is off. */
  async remove(): Promise<void> {
    await this.kill()
    spawnSync('umount', ['--lazy', this.root])
    for (const group of this.#groups()) removeGroup(group)
  }

  /** Its process 1 as this machine numbers it. */
  #init(): number | undefined {
    const holder = this.#holder?.pid
    if (holder === undefined) return undefined
    const below = [holder, ...childrenOf(holder)].flatMap((pid) => [pid, ...childrenOf(pid)])
    return below.find((pid) => /^NSpid:.*\s1$/m.test(read(`/proc/${pid}/status`)))
  }

  #groups(): readonly string[] {
    return readdirSync(CGROUPS)
      .filter((name) => !LEFT_ALONE.includes(name))
      .filter((name) => existsSync(join(CGROUPS, name, 'cgroup.procs')))
      .map((name) => join(CGROUPS, name, this.options.id))
  }

  #makeGroups(): readonly string[] {
    const groups = this.#groups()
    for (const group of groups) mkdirSync(group, { recursive: true })
    return groups
  }

  #makeHostKey(): void {
    const path = join(this.root, 'etc/ssh/ssh_host_ed25519_key')
    execFileSync('rm', ['-f', path, `${path}.pub`])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'host', '-f', path])
  }

  /** Puts these layers over the base, the first on top, and what the host writes over them. */
  #mount(layers: readonly string[]): void {
    const { directory } = this.options
    for (const name of ['upper', 'work', 'root'])
      mkdirSync(join(directory, name), { recursive: true })
    const lower = [...layers, join(IMAGE, 'base')].join(':')
    // A directory of a layer can be renamed like one of the host's own, as on a disk.
    const words = `redirect_dir=on,lowerdir=${lower},upperdir=${directory}/upper,workdir=${directory}/work`
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', words, this.root])
  }

  #customise(): void {
    const { hostname, hosts, key } = this.options
    const write = (name: string, text: string, mode = 0o644): void =>
      writeFileSync(join(this.root, name), text, { mode })
    write('etc/hostname', `${hostname}\n`)
    write('etc/hosts', `127.0.0.1 localhost\n${hosts.join('\n')}\n`)
    write('etc/machine-id', `${crypto.randomUUID().replaceAll('-', '')}\n`)
    this.#makeHostKey()
    mkdirSync(join(this.root, 'root/.ssh'), { recursive: true, mode: 0o700 })
    write('root/.ssh/authorized_keys', key, 0o600)
  }
}

function childrenOf(pid: number): readonly number[] {
  return read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // The process has ended.
    return ''
  }
}

/** Ends what is left of hosts whose test is dead: every process in their groups, and the groups. */
export function reapMachines(isDead: (id: string) => boolean): void {
  for (const controller of readdirSync(CGROUPS)) {
    const directory = join(CGROUPS, controller)
    if (!existsSync(join(directory, 'cgroup.procs'))) continue
    for (const id of readdirSync(directory).filter(isDead)) {
      for (const pid of processesIn(join(directory, id))) killProcess(pid)
      removeGroup(join(directory, id))
    }
  }
}

function processesIn(group: string): readonly number[] {
  const own = read(join(group, 'cgroup.procs')).split('\n').filter(Boolean).map(Number)
  const below = readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return [...own, ...below.flatMap((entry) => processesIn(join(group, entry.name)))]
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended with its init.
  }
}

/** A group goes only once it is empty: what systemd made below goes first. */
function removeGroup(group: string): void {
  if (!existsSync(group)) return
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(group, entry.name))
  }
  try {
    rmdirSync(group)
  } catch {
    // A process in it is dying still; an empty group costs nothing.
  }
}
