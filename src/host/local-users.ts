/**
 * The OS users of this machine: /etc/passwd first, then whatever else the name service knows (LDAP,
 * sssd) through getent(1).
 */
import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { BackstayError } from '../errors/backstay-error.ts'
import { runChild } from './child-process.ts'

/** An OS user as passwd(5) describes it. */
export interface LocalUser {
  readonly name: string
  readonly uid: number
  /** Primary group. */
  readonly gid: number
  readonly home: string
}

/** Parses passwd(5) lines; anything else in the text is skipped. */
export function parsePasswd(text: string): LocalUser[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid, , home] = line.split(':')
    if (name === undefined || home === undefined) return []
    return [{ name, uid: Number(uid), gid: Number(gid), home: home === '' ? '/' : home }]
  })
}

/** Looks users up once and remembers them. */
export class LocalUsers {
  readonly self: LocalUser
  readonly #found = new Map<string, LocalUser>()

  constructor() {
    this.self = whoAmI()
    this.#remember(this.self)
  }

  /** The user called `name`. @throws HOST_PRIVILEGE when there is none. */
  async byName(name: string): Promise<LocalUser> {
    const user = this.#found.get(name) ?? (await this.#lookUp(name))
    if (user?.name === name) return user
    throw new BackstayError('HOST_PRIVILEGE', `OS user "${name}" does not exist`, {
      hint: `Make the user (useradd --system ${name}) or name another one.`,
      details: { user: name },
    })
  }

  /** The name of `uid`, or the number as text when nobody has it. */
  async nameOf(uid: number): Promise<string> {
    const user = this.#found.get(String(uid)) ?? (await this.#lookUp(String(uid)))
    return user?.name ?? String(uid)
  }

  /** The user with `uid`; with the group `gid` when nobody has it. */
  async byNumber({ uid, gid }: { readonly uid: number; readonly gid: number }): Promise<LocalUser> {
    const known = this.#found.get(String(uid)) ?? (await this.#lookUp(String(uid)))
    return known ?? { name: String(uid), uid, gid, home: '/' }
  }

  async #lookUp(key: string): Promise<LocalUser | undefined> {
    const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '')
    for (const user of parsePasswd(passwd)) this.#remember(user)
    if (!this.#found.has(key))
      parsePasswd(await getent(key)).forEach((user) => this.#remember(user))
    return this.#found.get(key)
  }

  #remember(user: LocalUser): void {
    // The first entry of a uid wins, as in getpwuid.
    if (!this.#found.has(String(user.uid))) this.#found.set(String(user.uid), user)
    if (!this.#found.has(user.name)) this.#found.set(user.name, user)
  }
}

async function getent(key: string): Promise<string> {
  const options = { directory: '/', environment: { PATH: '/usr/bin:/bin' }, timeoutMs: 10_000 }
  try {
    return (await runChild(['getent', 'passwd', key], options)).stdout.toString()
  } catch {
    return ''
  }
}

function whoAmI(): LocalUser {
  try {
    const { username, uid, gid, homedir } = userInfo()
    return { name: username, uid, gid, home: homedir }
  } catch {
    // A uid without an entry (containers): it has its number only.
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0]
    return { name: String(uid), uid, gid, home: '/' }
  }
}
