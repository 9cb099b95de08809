/**
 * Started as root, the commands that write the repository go on as the OS user it belongs to: the
 * restore_command of a restored server, which runs as that user, can then read it, and nothing that
 * works for hours is root. There is no way back, so one process does one side's work.
 */
import { closeSync, openSync } from 'node:fs'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import { LocalHost } from '../../host/local-host.ts'
import { ownerOfWay } from '../../host/owner-of-way.ts'
import { runChecked } from '../../host/run-checked.ts'
import { selfProgram } from './self-program.ts'

interface UserNumbers {
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
}

/**
 * Becomes the user who has the way to `directory` in his hands, unless this process is not root,
 * nobody but root has, or he cannot read Backstay itself (a checkout in root's home).
 * @throws {BackstayError} REPOSITORY_MISSING when there is no such directory, DIRECTORY_OWNER when
 * the way is in the hands of two users
 */
export async function becomeRepositoryOwner(directory: string): Promise<void> {
  const host = new LocalHost('localhost')
  if (host.user !== 'root') return
  const owner = await ownerOfWay(host, `${directory}/.`)
  if (owner === undefined) {
    throw new BackstayError('REPOSITORY_MISSING', `There is no directory "${directory}"`, {
      hint: 'Run `backstay up`: it makes the directory for the repository.',
    })
  }
  if (owner !== 'root') become(await numbersOf(host, owner))
}

async function numbersOf(host: Host, user: string): Promise<UserNumbers> {
  const ids = async (option: string): Promise<number[]> => {
    const { stdout } = await runChecked(host, ['id', option, '--', user])
    return stdout.trim().split(' ').map(Number)
  }
  const [[uid], [gid], groups] = await Promise.all([ids('-u'), ids('-g'), ids('-G')])
  if (uid !== undefined && gid !== undefined) return { uid, gid, groups }
  throw new BackstayError('HOST_PRIVILEGE', `Cannot tell the numbers of OS user "${user}"`)
}

/**
 * All at once, without a wait: nothing else of this process happens half as him. Whether he can
 * read the program this process finds out itself, with his rights: a process of his that looked
 * would be his to end, and root would go on as root.
 */
function become({ uid, gid, groups }: UserNumbers): void {
  const [ownGroup = 0, ownGroups = []] = [process.getegid?.(), process.getgroups?.()]
  process.setgroups?.(groups)
  process.setegid?.(gid)
  process.seteuid?.(uid)
  const canRead = selfProgram().every(isReadable)
  process.seteuid?.(0)
  process.setegid?.(ownGroup)
  if (!canRead) return process.setgroups?.(ownGroups)
  process.setgid?.(gid)
  process.setuid?.(uid)
}

function isReadable(path: string): boolean {
  try {
    closeSync(openSync(path, 'r'))
    return true
  } catch {
    return false
  }
}
