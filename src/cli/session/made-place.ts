/**
 * Whether a repository may be made in a directory by the commands that run day by day. `up` makes
 * the place and leaves the backup server's password file in it: a directory without both that and a
 * repository is not that place, but what an unmounted disk leaves.
 */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { repositoryPassfileOf } from '../../cluster/names.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { REPOSITORY_OBJECT } from '../../repository/format.ts'
import { errnoOf, translateDiskError } from '../../store/disk-error.ts'

/**
 * Call it before anything is written below `directory`.
 * @throws {BackstayError} REPOSITORY_MISSING when `up` did not make it; STORE when that cannot be
 * seen.
 */
export async function requireMadePlace(directory: string): Promise<void> {
  const passfile = repositoryPassfileOf(directory)
  if (await isThere(join(directory, REPOSITORY_OBJECT))) return
  if (await isThere(passfile)) return
  throw new BackstayError(
    'REPOSITORY_MISSING',
    `Cannot find a repository in "${directory}", nor "${passfile}" that \`backstay up\` leaves there`,
    {
      hint: 'Is its disk mounted? Nothing was made in its place. For a new repository run `backstay up`.',
      details: { directory },
    },
  )
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return false
    throw translateDiskError(`read "${path}"`, error)
  }
}
