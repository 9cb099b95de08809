/**
 * Root in a repository of somebody else: that one may put a link in the place of a folder at any
 * moment, so what root changes it changes in a folder held open and judged, as docs/security.md
 * says of all directories of others.
 */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { errnoOf } from './disk-error.ts'

const ROOT = 0
const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants

/** A folder as it was opened. */
export interface HeldFolder {
  readonly facts: Pick<Stats, 'uid' | 'gid'>
  /** The path of one of its names, whatever becomes of the folder's own. */
  at(name: string): string
}

/**
 * Does `work` in the folder of `path`. Anybody but root works by name: he can do no more than he
 * may.
 * @throws Node's errors; {BackstayError} DIRECTORY_OWNER where a link of somebody's leads to what
 * is not his.
 */
export async function inFolderOf<T>(
  path: string,
  work: (folder: HeldFolder, name: string) => Promise<T>,
): Promise<T> {
  const folder = dirname(path)
  if (process.geteuid?.() !== ROOT) {
    const nobody = { uid: ROOT, gid: ROOT }
    return await work({ facts: nobody, at: (name) => `${folder}/${name}` }, basename(path))
  }
  await using held = await hold(folder)
  const facts = await held.stat()
  return await work({ facts, at: (name) => placeIn(held, name) }, basename(path))
}

async function hold(folder: string): Promise<FileHandle> {
  let held = await open('/', O_RDONLY | O_DIRECTORY)
  let owner: number = ROOT
  for (const part of folder.split('/').filter((each) => each !== '')) {
    await using above = held
    held = await openBelow(above, part, owner)
    if (owner === ROOT) owner = (await held.stat()).uid
  }
  return held
}

/** `owner`: the first user on the way. A link in his hands is followed only to what is his too. */
async function openBelow(above: FileHandle, part: string, owner: number): Promise<FileHandle> {
  const place = placeIn(above, part)
  if (owner === ROOT) return await open(place, O_RDONLY | O_DIRECTORY)
  try {
    return await open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  } catch (error) {
    if (!['ELOOP', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw error
  }
  const behind = await open(place, O_RDONLY | O_DIRECTORY)
  if ((await behind.stat()).uid === owner) return behind
  await behind.close()
  throw new BackstayError(
    'DIRECTORY_OWNER',
    `Cannot write as root behind "${part}" in the repository: it is a link to a directory that is not its owner's`,
    { hint: 'Put a directory in its place, or work as the owner of the repository.' },
  )
}

function placeIn(folder: FileHandle, name: string): string {
  return `/proc/self/fd/${folder.fd}/${name}`
}
