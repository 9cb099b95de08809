/**
 * What Backstay remembers of a cluster on the machine it runs on: passwords, the system identifier,
 * notes of unfinished work. Every file is written whole and durably; losing the directory loses the
 * way in, never data.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import type { Identity, LeaderNote } from '../found.ts'
import type { Made } from '../made.ts'
import { formatPassfileLine, lookupPassword, removePassfileLine } from '../../postgres/passfile.ts'

const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700

/** What a note says; it names the directory because the cluster file may have changed since. */
export interface UnfinishedNote {
  readonly directory: string
  readonly startedAt: string
}

/**
 * One cluster's state directory. Files are read anew on every call; callers hold the cluster's lock
 * when they write.
 */
export class StateDirectory {
  readonly path: string
  readonly #home: Host

  /** @param home the machine Backstay runs on. */
  constructor(home: Host, path: string) {
    this.#home = home
    this.path = path
  }

  /** Makes the directory. */
  async create(): Promise<void> {
    await this.#home.makeDirectory(this.path, { mode: DIRECTORY_MODE })
  }

  /** The file of passwords, in .pgpass format: `psql` can be pointed at it. */
  get passfile(): string {
    return posix.join(this.path, 'passwords')
  }

  /**
   * The passwords of `roles` that are kept.
   * @throws HOST_PRIVILEGE when others may read the file.
   */
  async readPasswords(roles: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const info = await this.#home.inspect(this.passfile)
    if (info !== undefined && (info.mode & 0o077) !== 0) {
      throw new BackstayError(
        'HOST_PRIVILEGE',
        `Cannot use "${this.passfile}": its mode is ${info.mode.toString(8)}, others may read the passwords`,
        { hint: `Run: chmod 600 ${this.passfile}` },
      )
    }
    const text = (await this.#home.readFile(this.passfile))?.toString() ?? ''
    return new Map(
      roles.flatMap((user): [string, string][] => {
        const password = lookupPassword(text, { host: '', port: 0, database: '', user })
        return password === undefined || password === '' ? [] : [[user, password]]
      }),
    )
  }

  /** Adds passwords; lines that are there stay. */
  async addPasswords(passwords: ReadonlyMap<string, string>): Promise<void> {
    const text = (await this.#home.readFile(this.passfile))?.toString() ?? ''
    const start = text === '' || text.endsWith('\n') ? text : `${text}\n`
    const lines = [...passwords].map(([user, password]) => formatPassfileLine({ user, password }))
    const content = `${start}${lines.join('\n')}\n`
    await this.#home.writeFile(this.passfile, content, { mode: FILE_MODE })
  }

  async readIdentity(): Promise<Identity | undefined> {
    return (await this.#readJson(this.#identityPath)) as Identity | undefined
  }

  async writeIdentity(identity: Identity): Promise<void> {
    await this.#writeJson(this.#identityPath, identity)
  }

  /** Notes that initdb begins on `server`, before it does. */
  async noteInitdb(server: string, note: UnfinishedNote): Promise<void> {
    await this.#writeJson(this.#notePath('initdb', server), note)
  }

  async readInitdbNote(server: string): Promise<UnfinishedNote | undefined> {
    return (await this.#readJson(this.#notePath('initdb', server))) as UnfinishedNote | undefined
  }

  async removeInitdbNote(server: string): Promise<void> {
    await this.#home.remove(this.#notePath('initdb', server))
  }

  /** Directories a reclone set aside on `server`, to be removed once the new one streams. */
  async readAsides(server: string): Promise<readonly string[]> {
    return ((await this.#readJson(this.#notePath('aside', server))) ?? []) as readonly string[]
  }

  async writeAsides(server: string, paths: readonly string[]): Promise<void> {
    const path = this.#notePath('aside', server)
    await (paths.length === 0 ? this.#home.remove(path) : this.#writeJson(path, paths))
  }

  /** The journal of a change of roles (../journal.ts); undefined when none is under way. */
  async readJournal(): Promise<unknown> {
    return await this.#readJson(this.#path('journal.json'))
  }

  async writeJournal(journal: object): Promise<void> {
    await this.#writeJson(this.#path('journal.json'), journal)
  }

  async removeJournal(): Promise<void> {
    await this.#home.remove(this.#path('journal.json'))
  }

  /**
   * Who was primary when a command last left the cluster in order; undefined before the first time.
   */
  async readLeader(): Promise<LeaderNote | undefined> {
    return (await this.#readJson(this.#path('leader.json'))) as LeaderNote | undefined
  }

  async writeLeader(leader: LeaderNote): Promise<void> {
    await this.#writeJson(this.#path('leader.json'), leader)
  }

  /** What was made of the cluster file (../made.ts); undefined before the first time. */
  async readMade(): Promise<Made | undefined> {
    return (await this.#readJson(this.#path('made.json'))) as Made | undefined
  }

  async writeMade(made: Made): Promise<void> {
    await this.#writeJson(this.#path('made.json'), made)
  }

  /** Takes the passwords of `roles` out of the file; other lines stay. */
  async dropPasswords(roles: readonly string[]): Promise<void> {
    const text = (await this.#home.readFile(this.passfile))?.toString() ?? ''
    const kept = roles.reduce((left, user) => removePassfileLine(left, { user }), text)
    if (kept !== text) await this.#home.writeFile(this.passfile, kept, { mode: FILE_MODE })
  }

  /** Forgets the cluster: what `down --destroy` does last. */
  async forget(): Promise<void> {
    await this.#home.remove(this.#identityPath)
    await this.#home.remove(this.#path('journal.json'))
    await this.#home.remove(this.#path('leader.json'))
    await this.#home.remove(this.#path('made.json'))
    await this.#home.remove(this.passfile)
    for (const name of (await this.#home.list(this.path)) ?? []) {
      if (/^(initdb|aside)-.*\.json$/.test(name))
        await this.#home.remove(posix.join(this.path, name))
    }
  }

  get #identityPath(): string {
    return this.#path('identity.json')
  }

  #path(name: string): string {
    return posix.join(this.path, name)
  }

  #notePath(kind: 'initdb' | 'aside', server: string): string {
    return posix.join(this.path, `${kind}-${server}.json`)
  }

  async #readJson(path: string): Promise<unknown> {
    const bytes = await this.#home.readFile(path)
    if (bytes === undefined) return undefined
    try {
      return JSON.parse(bytes.toString())
    } catch (cause) {
      throw new BackstayError('FAILED', `Cannot read "${path}": it is not JSON`, {
        hint: 'Somebody edited it: restore it from a copy of the state directory.',
        cause,
      })
    }
  }

  async #writeJson(path: string, value: unknown): Promise<void> {
    await this.create()
    const content = `${JSON.stringify(value, undefined, 2)}\n`
    await this.#home.writeFile(path, content, { mode: FILE_MODE })
  }
}
