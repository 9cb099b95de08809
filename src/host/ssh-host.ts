/**
 * The driver for another machine, through the system's OpenSSH. There it needs a POSIX shell,
 * coreutils, findutils and tar, and util-linux (setpriv) to act as other users; as root, by login
 * or by sudo, it acts as any.
 */
import { isAbsolute, normalize } from 'node:path/posix'
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { aboutFile } from './file-error.ts'
import type {
  HostCommandOptions,
  HostCommandResult,
  Host,
  Ownership,
  PathInfo,
  TreeOptions,
  TreeWriter,
} from './host.ts'
import { READ_LIMIT_BYTES } from './read-limit.ts'
import { SshConnection, type SshOptions } from './ssh-connection.ts'
import { type RunCommand, ShellFiles } from './shell-files.ts'
import { forwardPort, forwardSocket } from './ssh-forward.ts'
import { SshTreeWriter } from './ssh-tree-writer.ts'

const DEFAULT_TIMEOUT_MS = 60_000

/** Another machine. Must be closed. */
export class SshHost implements Host {
  readonly name: string
  readonly user: string
  readonly #connection: SshConnection
  readonly #files: ShellFiles

  private constructor(connection: SshConnection, user: string) {
    this.name = connection.options.name
    this.user = user
    this.#connection = connection
    const run: RunCommand = async (command) => connection.run(command)
    this.#files = new ShellFiles({ run, asWayOwner: user === 'root' })
  }

  /**
   * Logs in, becomes root when asked to, and learns who that is.
   * @throws HOST_UNREACHABLE with the cause (`details.cause`: host-key-unknown, host-key-changed,
   * permission-denied, refused, timeout, no-route, unknown-name, lost), HOST_PRIVILEGE when sudo
   * refuses.
   */
  static async connect(options: SshOptions): Promise<SshHost> {
    const connection = await SshConnection.open(options)
    try {
      const { stdout } = await askOnceMore(async () =>
        connection.run({
          command: ['id', '-un'],
          directory: '/',
          environment: {},
          timeoutMs: DEFAULT_TIMEOUT_MS,
        }),
      )
      return new SshHost(connection, stdout.toString().trim())
    } catch (error) {
      await connection[Symbol.asyncDispose]()
      throw error
    }
  }

  async run(
    command: readonly string[],
    options: HostCommandOptions = {},
  ): Promise<HostCommandResult> {
    const { directory = '/', environment = {}, timeoutMs = DEFAULT_TIMEOUT_MS } = options
    const user = this.#userFor(options.user, 'run a command')
    const { input, signal, onStdout } = options
    const remote = { command, user, directory, environment, timeoutMs, input, signal, onStdout }
    const { exitCode, stdout, stderr } = await this.#connection.run(remote)
    return { exitCode, stdout: stdout.toString(), stderr }
  }

  async readFile(path: string, limitBytes = READ_LIMIT_BYTES): Promise<Buffer | undefined> {
    return this.#translate(`read "${path}"`, path, () => this.#files.read(path, limitBytes))
  }

  async writeFile(
    path: string,
    content: string | Uint8Array,
    ownership: Ownership = {},
  ): Promise<void> {
    await this.#translate(`write "${path}"`, path, async () => {
      await this.#checkOwner(ownership)
      await this.#files.write(path, Buffer.from(content), ownership)
    })
  }

  async makeDirectory(path: string, ownership: Ownership = {}): Promise<void> {
    await this.#translate(`make directory "${path}"`, path, async () => {
      await this.#checkOwner(ownership)
      await this.#files.makeDirectory(path, ownership)
    })
  }

  async remove(path: string): Promise<void> {
    if (/^\/*$/.test(normalize(path))) {
      throw new BackstayError('FAILED', `Will not remove "${path}"`)
    }
    await this.#translate(`remove "${path}"`, path, () => this.#files.remove(path))
  }

  async rename(from: string, to: string): Promise<void> {
    const checked = isAbsolute(to) ? from : to
    await this.#translate(`rename "${from}" to "${to}"`, checked, () =>
      this.#files.rename(from, to),
    )
  }

  async inspect(path: string): Promise<PathInfo | undefined> {
    return this.#translate(`look at "${path}"`, path, () => this.#files.inspect(path))
  }

  async list(path: string): Promise<readonly string[] | undefined> {
    return this.#translate(`list "${path}"`, path, () => this.#files.list(path))
  }

  async freeBytes(path: string): Promise<number> {
    return this.#translate(`measure free space of "${path}"`, path, () =>
      this.#files.freeBytes(path),
    )
  }

  async reachSocket(path: string): Promise<string> {
    return await forwardSocket(this.#connection, path)
  }

  async reachPort(address: string, port: number): Promise<string> {
    return await forwardPort(this.#connection, address, port)
  }

  async openTree(directory: string, options: TreeOptions): Promise<TreeWriter> {
    const action = `write into "${directory}"`
    return this.#translate(action, directory, async () => {
      await this.#checkOwner(options)
      const owner = this.#userFor(options.owner, action)
      const [connection, files] = [this.#connection, this.#files]
      const { isCompressed = false } = options
      return SshTreeWriter.open({ connection, files, directory, owner, isCompressed })
    })
  }

  async close(): Promise<void> {
    await this.#connection[Symbol.asyncDispose]()
  }

  async #translate<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
    return await aboutFile(this.name, { action, path }, work)
  }

  async #checkOwner({ owner, groupOf }: Ownership): Promise<void> {
    if (groupOf !== undefined) await this.#checkOwner({ owner: groupOf })
    if (owner === undefined) return
    this.#userFor(owner, `give files to "${owner}"`)
    if ((await this.#files.ownerOf(owner)) !== undefined) return
    throw new BackstayError(
      'HOST_PRIVILEGE',
      `OS user "${owner}" does not exist on "${this.name}"`,
      {
        hint: `Make the user there (useradd --system ${owner}) or name another one.`,
        details: { host: this.name, user: owner },
      },
    )
  }

  /**
   * The user to act as, undefined for our own.
   * @throws HOST_PRIVILEGE when that is somebody else and we are not root there.
   */
  #userFor(name: string | undefined, action: string): string | undefined {
    if (name === undefined || name === this.user) return undefined
    if (this.user === 'root') return name
    throw new BackstayError(
      'HOST_PRIVILEGE',
      `Cannot ${action} on "${this.name}": it needs OS user "${name}" and the login is "${this.user}"`,
      {
        hint: `Log in as root or "${name}", or set ssh.sudo for this host in the cluster file.`,
        details: { host: this.name, user: this.user, neededUser: name },
      },
    )
  }
}

/**
 * A shared connection that could not be made for a reason ssh does not give is tried once more:
 * nothing was done there yet.
 */
async function askOnceMore<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    const isUnexplained =
      isBackstayError(error, 'HOST_UNREACHABLE') && error.details['cause'] === 'other'
    if (!isUnexplained) throw error
    return await ask()
  }
}
