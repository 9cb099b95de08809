/**
 * The driver for the machine Backstay runs on. As root it runs commands and owns files as other OS users; otherwise only as itself.
 */
import { readFile, readlink } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { formatDuration } from '../util/duration.ts'
import { type ChildResult, runChild } from './child-process.ts'
import { errnoOf, fileError } from './file-error.ts'
import type {
  CommandOptions,
  CommandResult,
  Host,
  Ownership,
  PathInfo,
  TreeOptions,
  TreeWriter,
} from './host.ts'
import {
  freeBytes,
  listNames,
  lstatIfAny,
  makeDirectory,
  type NumericOwnership,
  removeTree,
  renameDurably,
  replaceFile,
  unlessMissing,
} from './local-files.ts'
import { LocalTreeWriter } from './local-tree-writer.ts'
import { type LocalUser, LocalUsers } from './local-users.ts'
import { showCommand } from './shell-quote.ts'

const DEFAULT_TIMEOUT_MS = 60_000
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** This machine. Holds nothing that must be closed. */
export class LocalHost implements Host {
  readonly name: string
  readonly user: string
  readonly #users = new LocalUsers()

  /** `name` is what messages call the machine. */
  constructor(name: string) {
    this.name = name
    this.user = this.#users.self.name
  }

  async run(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const user = await this.#userFor(options.user, `run ${showCommand(command)}`)
    const environment = { ...cleanEnvironment(user), ...options.environment }
    const { directory = '/', timeoutMs = DEFAULT_TIMEOUT_MS, input, signal, onStdout } = options
    const words = user === this.#users.self ? command : asUser(user, command)
    const child = { directory, environment, timeoutMs, input, signal, onStdout }
    const result = await runChild(words, child).catch((error: unknown) => {
      throw signal?.aborted === true ? error : cannotStart(this.name, words, error)
    })
    if (result.timedOut) throw timedOut(this.name, command, { timeoutMs, result })
    const { exitCode } = result
    const stderr = result.stderr.toString()
    if (exitCode >= 126 && stderr.startsWith('setpriv: ')) {
      throw cannotStart(this.name, command, new Error(stderr.trim()))
    }
    return { exitCode, stdout: result.stdout.toString(), stderr }
  }

  async readFile(path: string): Promise<Buffer | undefined> {
    return this.#files(`read "${path}"`, path, () => unlessMissing(readFile(path)))
  }

  async writeFile(
    path: string,
    content: string | Uint8Array,
    ownership?: Ownership,
  ): Promise<void> {
    const numeric = await this.#numeric(path, ownership)
    await this.#files(`write "${path}"`, path, () => replaceFile(path, content, numeric))
  }

  async makeDirectory(path: string, ownership?: Ownership): Promise<void> {
    const numeric = await this.#numeric(path, ownership)
    await this.#files(`make directory "${path}"`, path, () => makeDirectory(path, numeric))
  }

  async remove(path: string): Promise<void> {
    if (resolve(path) === '/') throw new BackstayError('FAILED', `Will not remove "${path}"`)
    await this.#files(`remove "${path}"`, path, () => removeTree(path))
  }

  async rename(from: string, to: string): Promise<void> {
    const target = isAbsolute(to) ? from : to
    await this.#files(`rename "${from}" to "${to}"`, target, () => renameDurably(from, to))
  }

  async inspect(path: string): Promise<PathInfo | undefined> {
    return this.#files(`look at "${path}"`, path, async () => {
      const found = await lstatIfAny(path)
      if (found === undefined) return undefined
      const target = found.isSymbolicLink() ? await unlessMissing(readlink(path)) : undefined
      // It went between the two looks.
      if (found.isSymbolicLink() && target === undefined) return undefined
      return {
        kind: kindOf(found),
        sizeBytes: found.size,
        mode: found.mode & 0o7777,
        owner: await this.#users.nameOf(found.uid),
        modifiedAtMs: found.mtimeMs,
        target,
      }
    })
  }

  async list(path: string): Promise<readonly string[] | undefined> {
    return this.#files(`list "${path}"`, path, () => listNames(path))
  }

  async freeBytes(path: string): Promise<number> {
    return this.#files(`measure free space of "${path}"`, path, () => freeBytes(path))
  }

  async reachSocket(path: string): Promise<string> {
    return path
  }

  async openTree(directory: string, options: TreeOptions): Promise<TreeWriter> {
    const { owner } = await this.#numeric(directory, options)
    return this.#files(`write into "${directory}"`, directory, async () => {
      await makeDirectory(directory, { mode: undefined, owner })
      return LocalTreeWriter.open(directory, { host: this.name, owner })
    })
  }

  async close(): Promise<void> {}

  /** Runs `work` on the absolute `path`, translating what it throws: «Cannot `action` on …». */
  async #files<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
    if (!isAbsolute(path)) {
      throw new BackstayError('FAILED', `Cannot ${action}: the path is not absolute`)
    }
    try {
      return await work()
    } catch (error) {
      throw fileError(this.name, action, error)
    }
  }

  async #numeric(path: string, ownership: Ownership | undefined): Promise<NumericOwnership> {
    const owner =
      ownership?.owner === undefined
        ? undefined
        : await this.#userFor(ownership.owner, `give "${path}" to "${ownership.owner}"`)
    return { mode: ownership?.mode, owner }
  }

  /** The user to act as. @throws HOST_PRIVILEGE when that is somebody else and we are not root. */
  async #userFor(name: string | undefined, action: string): Promise<LocalUser> {
    const { self } = this.#users
    if (name === undefined || name === self.name) return self
    const user = await this.#users.byName(name)
    if (self.uid === 0) return user
    throw new BackstayError(
      'HOST_PRIVILEGE',
      `Cannot ${action} on "${this.name}": it needs OS user "${name}" and this is "${self.name}"`,
      {
        hint: `Run Backstay as root or as "${name}".`,
        details: { host: this.name, user: self.name, neededUser: name },
      },
    )
  }
}

function cleanEnvironment(user: LocalUser): Record<string, string> {
  return { PATH, HOME: user.home, USER: user.name, LOGNAME: user.name, LANG: 'C.UTF-8' }
}

/** Unlike Node's own uid option, setpriv gives the process the user's supplementary groups too (`ssl-cert`, …). */
function asUser(user: LocalUser, command: readonly string[]): string[] {
  return [
    'setpriv',
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--init-groups',
    '--',
    ...command,
  ]
}

function kindOf(found: {
  isFile(): boolean
  isDirectory(): boolean
  isSymbolicLink(): boolean
}): PathInfo['kind'] {
  if (found.isFile()) return 'file'
  if (found.isDirectory()) return 'directory'
  return found.isSymbolicLink() ? 'link' : 'other'
}

function cannotStart(host: string, command: readonly string[], cause: unknown): BackstayError {
  const reason =
    errnoOf(cause) === 'ENOENT' ? 'no such program or working directory' : (cause as Error).message
  return new BackstayError(
    'HOST_COMMAND',
    `Cannot start a command on "${host}": ${showCommand(command)}: ${reason}`,
    { details: { host, command: [...command] }, cause },
  )
}

function timedOut(
  host: string,
  command: readonly string[],
  facts: { readonly timeoutMs: number; readonly result: ChildResult },
): BackstayError {
  const said = facts.result.stderr.toString().trim().split('\n').at(-1) ?? ''
  return new BackstayError(
    'TIMEOUT',
    `Command on "${host}" did not end within ${formatDuration(facts.timeoutMs)}: ${showCommand(command)}${said === '' ? '' : `: ${said}`}`,
    { details: { host, command: [...command], timeoutMs: facts.timeoutMs } },
  )
}
