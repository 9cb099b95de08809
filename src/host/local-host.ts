/**
 * The driver for the machine Backstay runs on. As root it runs commands and owns files as other OS
 * users, and works on files below a directory of another user as that user; otherwise only as
 * itself.
 */
import { readlink } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { filePath, pathOfBytes } from '../util/byte-path.ts'
import { formatDuration } from '../util/duration.ts'
import { type ChildResult, runChild } from './child-process.ts'
import { aboutFile, errnoOf } from './file-error.ts'
import type {
  HostCommandOptions,
  HostCommandResult,
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
  readWhole,
  removeTree,
  renameDurably,
  replaceFile,
  unlessMissing,
} from './local-files.ts'
import { LocalTreeWriter } from './local-tree-writer.ts'
import { type LocalUser, LocalUsers } from './local-users.ts'
import {
  asUser,
  cleanEnvironment,
  type Hands,
  handsOn,
  handsToMake,
  rootsFiles,
} from './other-hands.ts'
import { showCommand } from './shell-quote.ts'
import { READ_LIMIT_BYTES } from './read-limit.ts'
import { wayInto } from './way-owner.ts'

const DEFAULT_TIMEOUT_MS = 60_000

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

  async run(
    command: readonly string[],
    options: HostCommandOptions = {},
  ): Promise<HostCommandResult> {
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

  async readFile(path: string, limitBytes = READ_LIMIT_BYTES): Promise<Buffer | undefined> {
    return this.#files(`read "${path}"`, path, async () => {
      const hands = await unlessMissing(this.#handsOn(path))
      if (hands === undefined) return undefined
      if (hands === 'own') return readWhole(path, { limitBytes })
      try {
        return await readWhole(path, { owner: hands.user.uid, limitBytes })
      } catch (error) {
        if (errnoOf(error) !== 'EACCES') throw error
        // Another's file, which the user may be allowed to read all the same.
        return hands.files.read(path, limitBytes)
      }
    })
  }

  async writeFile(
    path: string,
    content: string | Uint8Array,
    ownership?: Ownership,
  ): Promise<void> {
    const numeric = await this.#numeric(path, ownership)
    await this.#files(`write "${path}"`, path, async () => {
      const hands = await this.#handsOn(wayInto(path))
      if (hands === 'own') await replaceFile(path, content, numeric)
      else await hands.files.write(path, Buffer.from(content), ownership ?? {})
    })
  }

  async makeDirectory(path: string, ownership?: Ownership): Promise<void> {
    const numeric = await this.#numeric(path, ownership)
    await this.#files(`make directory "${path}"`, path, async () => {
      const { hands, missing } = await handsToMake([`${path}/.`], this.#users)
      if (hands === undefined) await makeDirectory({ path, missing }, numeric)
      else await hands.files.makeDirectory(path, ownership ?? {})
    })
  }

  async remove(path: string): Promise<void> {
    if (resolve(path) === '/') throw new BackstayError('FAILED', `Will not remove "${path}"`)
    await this.#files(`remove "${path}"`, path, async () => {
      const hands = await unlessMissing(this.#handsOn(wayInto(path)))
      if (hands === 'own') await this.#removeMine(path)
      else await hands?.files.remove(path)
    })
  }

  async rename(from: string, to: string): Promise<void> {
    const target = isAbsolute(to) ? from : to
    await this.#files(`rename "${from}" to "${to}"`, target, async () => {
      const hands = await this.#handsOn(wayInto(from), wayInto(to))
      if (hands === 'own') await renameDurably(from, to)
      else await hands.files.rename(from, to)
    })
  }

  async inspect(path: string): Promise<PathInfo | undefined> {
    return this.#files(`look at "${path}"`, path, async () => {
      const found = await lstatIfAny(path)
      if (found === undefined) return undefined
      const target = found.isSymbolicLink() ? await unlessMissing(readTarget(path)) : undefined
      // It went between the two looks.
      if (found.isSymbolicLink() && target === undefined) return undefined
      return {
        kind: kindOf(found),
        sizeBytes: found.size,
        mode: found.mode & 0o7777,
        owner: await this.#users.nameOf(found.uid),
        modifiedAtMs: found.mtimeMs,
        identity: `${found.dev}:${found.ino}:${found.birthtimeMs}`,
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

  async reachPort(address: string, port: number): Promise<string> {
    throw new BackstayError(
      'BUG',
      `Cannot forward ${address}:${port} of this machine: it is reached as it is`,
    )
  }

  async openTree(directory: string, options: TreeOptions): Promise<TreeWriter> {
    const { owner } = await this.#numeric(directory, options)
    await this.makeDirectory(directory, options.owner === undefined ? {} : { owner: options.owner })
    return this.#files(`write into "${directory}"`, directory, async () =>
      LocalTreeWriter.open(directory, { host: this.name, owner: owner ?? this.#users.self }),
    )
  }

  async close(): Promise<void> {}

  /**
   * Whose hands have to do it on all of the ways.
   * @throws Node's ENOENT when something on them is missing
   */
  async #handsOn(...ways: readonly string[]): Promise<Hands | 'own'> {
    return (await handsOn(ways, this.#users)) ?? 'own'
  }

  /**
   * What is in there can be another's, who could exchange a directory for a link between two steps
   * of Node's own removal.
   */
  async #removeMine(path: string): Promise<void> {
    const isTree = (await lstatIfAny(path))?.isDirectory() === true
    if (!isTree || this.#users.self.uid !== 0) await removeTree(path)
    else await rootsFiles(this.#users.self).remove(path)
  }

  /** Runs `work` on the absolute `path`, translating what it throws: «Cannot `action` on …». */
  async #files<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
    return await aboutFile(this.name, { action, path }, work)
  }

  async #numeric(path: string, ownership: Ownership | undefined): Promise<NumericOwnership> {
    const owner =
      ownership?.owner === undefined
        ? undefined
        : await this.#userFor(ownership.owner, `give "${path}" to "${ownership.owner}"`)
    const { groupOf } = ownership ?? {}
    if (groupOf === undefined) return { mode: ownership?.mode, owner }
    const { gid } = await this.#userFor(groupOf, `give "${path}" to the group of "${groupOf}"`)
    return { mode: ownership?.mode, owner: { uid: (owner ?? this.#users.self).uid, gid } }
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

/** Where a link leads, by its true name. */
async function readTarget(path: string): Promise<string> {
  return pathOfBytes(await readlink(filePath(path), 'buffer'))
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
