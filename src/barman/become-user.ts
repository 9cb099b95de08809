/**
 * Goes on as barman_user when started as root, and refuses to be anybody else.
 */
import { userInfo } from 'node:os'
import { BackstayError } from '../errors/backstay-error.ts'

/**
 * Becomes `name`, for good. Returns the new user's home directory; undefined when it was that user
 * already.
 * @throws {BackstayError} HOST_PRIVILEGE in Barman's words.
 */
export async function becomeUser(name: string): Promise<string | undefined> {
  if (ownName() === name) return undefined
  const { LocalUsers } = await import('../host/local-users.ts')
  const users = new LocalUsers()
  if (users.self.uid !== 0) {
    throw new BackstayError('HOST_PRIVILEGE', `please run barman as '${name}' user`)
  }
  const user = await users.byName(name).catch((error: unknown) => {
    const text = `the configured user '${name}' does not exists`
    throw new BackstayError('HOST_PRIVILEGE', text, { cause: error })
  })
  // Node's types leave this one out.
  const { initgroups } = process as { initgroups?: (user: string, group: number) => void }
  initgroups?.(name, user.gid)
  process.setgid?.(user.gid)
  process.setuid?.(user.uid)
  return user.home
}

/** Undefined for a uid that has no name. */
function ownName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}
