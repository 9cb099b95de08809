/**
 * The hosts of a cluster that are reached over ssh: each opened once, when it is first needed, and
 * shared by everything on it.
 */
import { readFile, stat } from 'node:fs/promises'
import type { HostWanted } from '../../cluster/wanted.ts'
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import { rememberHostKey } from '../../host/host-key.ts'
import { SshConnection, type SshOptions } from '../../host/ssh-connection.ts'
import { SshHost } from '../../host/ssh-host.ts'
import type { Clock } from '../../util/clock.ts'
import type { Environment } from '../../util/environment.ts'

/** What ssh itself needs of our environment. */
const SSH_VARIABLES = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SSH_AUTH_SOCK'] as const

/**
 * Paths of Unix sockets may have 107 bytes: a longer directory than this would leave too little for
 * ours.
 */
const TMPDIR_LENGTH_MAX = 60

/** How long a host that could not be opened is not tried again. */
const RETRY_AFTER_MS = 30_000

/** Where questions go. Both are asked at a terminal only. */
export interface Asking {
  /** Whether a key nobody knows yet is the host's. */
  isTrusted(question: string): Promise<boolean>
  /** Undefined without a terminal. */
  password(question: string): Promise<string | undefined>
}

/** How hosts are opened. */
export interface RemoteHostsOptions {
  readonly environment: Environment
  readonly acceptsNewHostKeys: boolean
  readonly asking: Asking
  readonly clock: Clock
}

interface Opened {
  readonly host: Promise<Host>
  failedAtMs: number | undefined
}

/** Opens hosts. Must be closed. */
export class RemoteHosts implements AsyncDisposable {
  readonly #options: RemoteHostsOptions
  readonly #opened = new Map<string, Opened>()
  readonly #passwords = new Map<string, Promise<string>>()
  /** One question at a time. */
  #asked: Promise<unknown> = Promise.resolve()

  constructor(options: RemoteHostsOptions) {
    this.#options = options
  }

  /**
   * A failure is remembered for a while: several looks in a row do not each wait for a host that
   * does not answer.
   * @throws HOST_UNREACHABLE, HOST_PRIVILEGE
   */
  async open(wanted: HostWanted): Promise<Host> {
    const { clock } = this.#options
    const key = JSON.stringify(wanted)
    const known = this.#opened.get(key)
    const isSpent =
      known?.failedAtMs !== undefined && clock.monotonic() - known.failedAtMs > RETRY_AFTER_MS
    if (known !== undefined && !isSpent) return await known.host
    const opened: Opened = { host: this.#connect(wanted), failedAtMs: undefined }
    this.#opened.set(key, opened)
    opened.host.catch(() => (opened.failedAtMs = clock.monotonic()))
    return await opened.host
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ends = await Promise.allSettled([...this.#opened.values()].map(({ host }) => host))
    await Promise.all(
      ends.map(async (end) => (end.status === 'fulfilled' ? end.value.close() : undefined)),
    )
  }

  async #connect(wanted: HostWanted): Promise<Host> {
    const options = await this.#sshOptions(wanted)
    try {
      return await SshHost.connect(options)
    } catch (error) {
      const accepted = await this.#acceptedKey(error)
      if (accepted === undefined) throw error
      await remember(options, accepted)
      return await SshHost.connect(options)
    }
  }

  async #sshOptions({ address, ssh }: HostWanted): Promise<SshOptions> {
    const { environment, acceptsNewHostKeys, clock } = this.#options
    const variables = SSH_VARIABLES.flatMap((name): [string, string][] => {
      const value = environment[name]
      return value === undefined ? [] : [[name, value]]
    })
    const temporary = environment['TMPDIR']
    const isUsable = temporary?.startsWith('/') === true && temporary.length <= TMPDIR_LENGTH_MAX
    const password = ssh.sudo ? await this.#sudoPassword(address, ssh.sudoPassword) : undefined
    return {
      name: address,
      address,
      user: ssh.user,
      port: ssh.port,
      sudo: ssh.sudo ? { password } : undefined,
      configFile: ssh.config,
      environment: Object.fromEntries(variables),
      acceptsNewHostKey: acceptsNewHostKeys,
      ...(isUsable ? { temporaryDirectory: temporary } : {}),
      clock,
    }
  }

  /** The lines for known_hosts of the very key that was asked about, when the answer is yes. */
  async #acceptedKey(error: unknown): Promise<string | undefined> {
    if (!isBackstayError(error, 'HOST_UNREACHABLE')) return undefined
    const { cause, shownHostKey, knownHostsLines, host } = error.details
    if (cause !== 'host-key-unknown') return undefined
    if (typeof shownHostKey !== 'string' || typeof knownHostsLines !== 'string') return undefined
    const question = `Host "${String(host)}" is not known yet. It shows the key ${shownHostKey}. Is it the right one?`
    const isTrusted = await this.#ask(async () => this.#options.asking.isTrusted(question))
    return isTrusted ? knownHostsLines : undefined
  }

  async #sudoPassword(address: string, source: string | undefined): Promise<string | undefined> {
    if (source === undefined) return undefined
    const known = this.#passwords.get(source) ?? this.#readPassword(address, source)
    this.#passwords.set(source, known)
    return await known
  }

  async #readPassword(address: string, source: string): Promise<string> {
    if (source !== 'ask') return await passwordInFile(source)
    const question = 'Password for sudo: '
    const typed = await this.#ask(async () => this.#options.asking.password(question))
    if (typed !== undefined) return typed
    throw new BackstayError(
      'HOST_PRIVILEGE',
      `Cannot become root on "${address}" with sudo: its password is to be asked for, and there is no terminal`,
      { hint: 'Name a file that holds it (mode 600) in ssh.sudoPassword of the cluster file.' },
    )
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    const asked = this.#asked.then(question)
    this.#asked = asked.catch(() => undefined)
    return await asked
  }
}

/** The next connection may lead to somebody else: it finds this key known, and takes no other. */
async function remember(options: SshOptions, lines: string): Promise<void> {
  await using connection = await SshConnection.open(options)
  await rememberHostKey(connection, lines)
}

async function passwordInFile(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  const why =
    found === undefined
      ? 'there is no such file'
      : (found.mode & 0o077) === 0
        ? undefined
        : `its mode is ${(found.mode & 0o777).toString(8)}, others may read it`
  if (why === undefined) return (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
  throw new BackstayError('HOST_PRIVILEGE', `Cannot read sudo's password from "${path}": ${why}`, {
    hint: `Put the password into that file, alone on its first line, and run: chmod 600 ${path}`,
  })
}
