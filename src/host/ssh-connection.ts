/**
 * Commands on another machine through the system's OpenSSH, over one shared connection
 * (ControlMaster). The operator's ~/.ssh/config, agent and jump hosts count; host keys are always
 * checked and nothing is ever asked.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { Clock } from '../util/clock.ts'
import { type ChildInput, type ChildOptions, type ChildResult, runChild } from './child-process.ts'
import { fetchHostKey } from './host-key.ts'
import { knowsHost } from './known-hosts.ts'
import { cannotStart, refusedError, saysTooMuch, timedOut } from './remote-command-error.ts'
import { Slots } from './turns.ts'
import { hostKeyProblem, sshError, sudoError } from './ssh-error.ts'
import {
  type OwnOutput,
  ownOutput,
  ownOutputOnly,
  parseReply,
  type RemoteReply,
  remotePid,
} from './ssh-reply.ts'
import {
  endCommand,
  type RemoteCommand,
  remoteCommandLine,
  remoteInputPrefix,
  type SudoOptions,
} from './ssh-script.ts'

/** sshd allows ten sessions a connection (MaxSessions); one is kept for ending others. */
const SESSIONS = 8
/** Beyond the command's own time: the way there and back, and the wait between TERM and KILL. */
const NETWORK_GRACE_MS = 30_000
const END_TIMEOUT_MS = 10_000

/** Where and how to log in. What is left out, ~/.ssh/config and ssh's defaults say. */
export interface SshOptions {
  /** What people call the machine. */
  readonly name: string
  /** Host name, address, or a `Host` of the ssh configuration. */
  readonly address: string
  readonly user?: string | undefined
  readonly port?: number | undefined
  /** Become root with sudo after login. */
  readonly sudo?: SudoOptions | undefined
  /** Instead of ~/.ssh/config (`ssh -F`). */
  readonly configFile?: string | undefined
  /** Environment of ssh itself: PATH, HOME, USER, SSH_AUTH_SOCK. */
  readonly environment: Readonly<Record<string, string>>
  /**
   * Whether the key of a host that is not known yet is taken as it is and remembered; a changed one
   * never is.
   */
  readonly acceptsNewHostKey?: boolean
  /** For the way to the host and the login. Default 10 s. */
  readonly connectTimeoutMs?: number
  /**
   * A directory for the control socket's own 0700 directory; short, because socket paths are.
   * Default /tmp.
   */
  readonly temporaryDirectory?: string
  readonly clock: Clock
}

/** One command as a connection runs it. */
export interface RemoteRun extends Omit<RemoteCommand, 'nonce' | 'sudo'> {
  readonly input?: ChildInput | undefined
  readonly signal?: AbortSignal | undefined
  /** Sees the command's own standard output as it comes. */
  readonly onStdout?: ((chunk: Buffer) => void) | undefined
  readonly outputLimitBytes?: number
}

/** How a remote command ended. */
export interface RemoteResult {
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: string
}

/**
 * Where nobody else may make a directory of the same name after a cleaner took ours away, as far as
 * there is such a place.
 */
function ownPlace({ environment }: SshOptions): string {
  const place = process.getuid?.() === 0 ? '/run' : environment['XDG_RUNTIME_DIR']
  // Its sockets' names are limited to some 100 bytes.
  return place !== undefined && place.length < 40 && existsSync(place) ? place : '/tmp'
}

/** An open way to one machine. Must be closed. */
export class SshConnection implements AsyncDisposable {
  readonly options: SshOptions
  /**
   * Our own directory (0700) for the control socket and forwarded sockets; goes with the
   * connection.
   */
  readonly directory: string
  readonly #slots = new Slots(SESSIONS)

  private constructor(options: SshOptions, directory: string) {
    this.options = options
    this.directory = directory
  }

  /** Prepares a connection; it is made by the first command and again when it was lost. */
  static async open(options: SshOptions): Promise<SshConnection> {
    const folder = options.temporaryDirectory ?? ownPlace(options)
    return new SshConnection(options, await mkdtemp(join(folder, 'backstay-ssh-')))
  }

  /**
   * Runs a command there. @throws HOST_UNREACHABLE, HOST_PRIVILEGE, TIMEOUT, HOST_COMMAND when it
   * cannot be started, and the signal's reason when aborted: by then the command is ended there, as
   * far as the host can be reached.
   */
  async run(remote: RemoteRun): Promise<RemoteResult> {
    remote.signal?.throwIfAborted()
    return this.#slots.run(() => this.#run(remote))
  }

  async #run(remote: RemoteRun): Promise<RemoteResult> {
    const nonce = randomBytes(16).toString('hex')
    const full: RemoteCommand = { ...remote, nonce, sudo: this.options.sudo }
    const ending = new Ending(this, nonce, remote.signal)
    const { clock } = this.options
    const started = clock.monotonic()
    try {
      const result = await this.#ssh(remoteCommandLine(full), {
        input: joinInput(remoteInputPrefix(full), remote.input),
        timeoutMs: remote.timeoutMs + NETWORK_GRACE_MS,
        // The shared connection writes it, after our ssh has ended as well; a ProxyCommand can keep
        // standard error open for as long as that.
        quietMs: NETWORK_GRACE_MS,
        isAllSaid: (stderr) => isAnswered(parseReply(stderr.toString(), nonce)),
        signal: ending.signal,
        onStdout: remote.onStdout && ownOutputOnly(this.#listener(remote.onStdout, ending), nonce),
        onStderr: (chunk) => ending.watch(chunk),
        ...(remote.outputLimitBytes === undefined
          ? {}
          : { outputLimitBytes: remote.outputLimitBytes }),
      })
      remote.signal?.throwIfAborted()
      return await this.#judge(remote, { result, nonce, elapsedMs: clock.monotonic() - started })
    } finally {
      ending.release()
    }
  }

  #listener(see: (chunk: Buffer) => void, ending: Ending): OwnOutput {
    return { see, onTooMuch: () => ending.end(saysTooMuch(this.options.name)) }
  }

  /**
   * Ends the remote command that was given `nonce` and announced `pid`, and waits until it is gone.
   */
  async end(pid: number, nonce: string): Promise<void> {
    const { sudo } = this.options
    const full = {
      command: endCommand(pid, nonce),
      nonce: randomBytes(16).toString('hex'),
      directory: '/',
      environment: {},
      timeoutMs: END_TIMEOUT_MS,
      sudo,
    }
    await this.#ssh(remoteCommandLine(full), {
      input: remoteInputPrefix(full),
      timeoutMs: END_TIMEOUT_MS,
    })
  }

  /**
   * The command line of ssh up to and with the address; ours wins over the operator's
   * configuration, `extra` over ours.
   */
  sshCommand(extra: readonly string[] = []): readonly string[] {
    const { configFile, user, port, address, connectTimeoutMs = 10_000 } = this.options
    const checking = this.options.acceptsNewHostKey === true ? 'accept-new' : 'yes'
    return [
      'ssh',
      ...extra,
      ...(configFile === undefined ? [] : ['-F', configFile]),
      ...(user === undefined ? [] : ['-l', user]),
      ...(port === undefined ? [] : ['-p', String(port)]),
      ...SSH_OPTIONS.flatMap((option) => ['-o', option]),
      '-o',
      `StrictHostKeyChecking=${checking}`,
      '-o',
      `ControlPath=${this.directory}/c`,
      '-o',
      `ConnectTimeout=${Math.max(1, Math.ceil(connectTimeoutMs / 1000))}`,
      '--',
      address,
    ]
  }

  /** What ssh's end means when the remote script gave no answer. */
  async failure(stderr: string, began: boolean): Promise<BackstayError> {
    const { name, address } = this.options
    const sudo = began ? undefined : sudoError(name, stderr)
    if (sudo !== undefined) return sudo
    const problem = began ? undefined : hostKeyProblem(stderr)
    // Of a host that is known, nobody is asked for another key, whatever ssh was led to say.
    const isDoubted = problem === 'host-key-unknown' && (await knowsHost(this))
    const isShown = problem !== undefined && !isDoubted
    const shownHostKey = isShown ? await fetchHostKey(this) : undefined
    return sshError({ host: name, address, began, shownHostKey }, stderr)
  }

  /** Closes the shared connection. Commands still running are cut off. */
  async [Symbol.asyncDispose](): Promise<void> {
    const command = this.sshCommand(['-O', 'exit'])
    const options = {
      directory: '/',
      environment: this.options.environment,
      timeoutMs: END_TIMEOUT_MS,
    }
    await runChild(command, options).catch(() => undefined)
    await rm(this.directory, { recursive: true, force: true })
  }

  async #judge(
    remote: RemoteRun,
    run: { readonly result: ChildResult; readonly nonce: string; readonly elapsedMs: number },
  ): Promise<RemoteResult> {
    const { name } = this.options
    const { result, nonce, elapsedMs } = run
    const said = result.stderr.toString()
    const reply = parseReply(said, nonce)
    if (result.timedOut) throw await this.failure('Connection timed out', false)
    if (!result.isWhole) {
      throw await this.failure(
        'its output did not come to an end',
        remotePid(said, nonce) !== undefined,
      )
    }
    if (reply.refused !== undefined) throw refusedError(name, remote, reply.refused)
    if (reply.exitCode === undefined) {
      const silence = `it ended with ${result.exitCode} and said nothing`
      const why = reply.stderr.trim() === '' ? silence : reply.stderr
      throw await this.failure(why, remotePid(said, nonce) !== undefined)
    }
    const { exitCode } = reply
    if ((exitCode === 124 || exitCode === 137) && elapsedMs >= remote.timeoutMs) {
      throw timedOut(name, remote)
    }
    if ((exitCode === 126 || exitCode === 127) && /^(env|setpriv): /.test(reply.stderr)) {
      throw cannotStart(name, remote, reply.stderr.trim())
    }
    return { exitCode, stdout: ownOutput(result.stdout, nonce), stderr: reply.stderr }
  }

  async #ssh(
    line: string,
    options: Omit<ChildOptions, 'directory' | 'environment'>,
  ): Promise<ChildResult> {
    const { environment } = this.options
    try {
      return await runChild([...this.sshCommand(), line], {
        directory: '/',
        environment,
        ...options,
      })
    } catch (error) {
      if (options.signal?.aborted === true) throw error
      throw new BackstayError('HOST_UNREACHABLE', 'Cannot start ssh: is OpenSSH installed here?', {
        hint: 'Install the OpenSSH client.',
        cause: error,
      })
    }
  }
}

const SSH_OPTIONS = [
  'BatchMode=yes',
  'ControlMaster=auto',
  'ControlPersist=60',
  'ServerAliveInterval=10',
  'ServerAliveCountMax=3',
  'LogLevel=ERROR',
  'RequestTTY=no',
  'RemoteCommand=none',
  'PermitLocalCommand=no',
  'ClearAllForwardings=yes',
  'StreamLocalBindUnlink=yes',
  'StreamLocalBindMask=0177',
  'ForwardAgent=no',
  'ForwardX11=no',
] as const

/**
 * Turns the operator's abort, or ours, into the end of the remote command first and of our ssh
 * then.
 */
class Ending {
  readonly #connection: SshConnection
  readonly #nonce: string
  readonly #outer: AbortSignal | undefined
  readonly #inner = new AbortController()
  #pid: number | undefined
  #head = ''

  constructor(connection: SshConnection, nonce: string, outer: AbortSignal | undefined) {
    this.#connection = connection
    this.#nonce = nonce
    this.#outer = outer
    outer?.addEventListener('abort', this.#begin)
  }

  /** Ends ssh when the remote command is ended. */
  get signal(): AbortSignal {
    return this.#inner.signal
  }

  /** Looks for the remote pid, which comes before anything the command itself says. */
  watch(chunk: Buffer): void {
    if (this.#pid !== undefined || this.#head.length > 4096) return
    this.#head += chunk.toString('latin1')
    this.#pid = remotePid(this.#head, this.#nonce)
  }

  release(): void {
    this.#outer?.removeEventListener('abort', this.#begin)
  }

  /** Ends both, for that reason. */
  end(reason: unknown): void {
    const pid = this.#pid
    const remote = pid === undefined ? Promise.resolve() : this.#connection.end(pid, this.#nonce)
    // Whether the host could still be told or not, the wait here is over.
    void remote.catch(() => undefined).then(() => this.#inner.abort(reason))
  }

  readonly #begin = (): void => this.end(this.#outer?.reason)
}

/** Whether the script around the command has said how it went, which it does last. */
function isAnswered({ exitCode, refused }: RemoteReply): boolean {
  return exitCode !== undefined || refused !== undefined
}

/** Puts `prefix` before the command's own input. */
function joinInput(prefix: string, input: ChildInput | undefined): ChildInput | undefined {
  if (prefix === '') return input
  if (typeof input !== 'function')
    return Buffer.concat([Buffer.from(prefix), Buffer.from(input ?? '')])
  return (stdin) => {
    stdin.write(prefix)
    input(stdin)
  }
}
