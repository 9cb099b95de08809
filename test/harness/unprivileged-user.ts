/**
 * The OS user test servers run as: PostgreSQL refuses root, so as root it is `postgres`, else `nobody`; otherwise ourselves.
 */
import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'

/** An OS user by name and numbers. */
export interface OsUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** Whether the tests run as root. */
export const isRoot = process.getuid?.() === 0

/** The user that owns test data directories and runs test servers. */
export const unprivilegedUser: OsUser = isRoot ? fromPasswd(['postgres', 'nobody']) : self()

function self(): OsUser {
  const { username, uid, gid } = userInfo()
  return { name: username, uid, gid }
}

function fromPasswd(names: readonly string[]): OsUser {
  const lines = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  for (const wanted of names) {
    const [name, , uid, gid] = lines.find((fields) => fields[0] === wanted) ?? []
    if (name !== undefined) return { name, uid: Number(uid), gid: Number(gid) }
  }
  throw new Error(`none of the OS users ${names.join(', ')} exists: PostgreSQL cannot run as root`)
}
