/**
 * Taking away what stands in the directories of a restore: everything of an unfinished one, or with
 * delta whatever the backup does not have.
 */
import { constants } from 'node:fs'
import { open, readlink, rm, rmdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoOf } from '../host/file-error.ts'
import { lstatIfAny } from '../host/local-files.ts'
import { placeOf } from '../host/tree-directories.ts'
import { CONTROL_FILE_PATH } from '../postgres/control-file.ts'
import { type DirectoryItem, filePath, readItems } from '../util/byte-path.ts'
import { syncDirectory } from '../util/sync-directory.ts'
import type { HeldPlaces } from './held-places.ts'
import { MARKER_NAME } from './marker.ts'

/** Empties the held directory `directory` but for the marker. */
export async function emptyDirectory(places: HeldPlaces, directory: string): Promise<void> {
  for (const { name } of await readItems(places.directory(directory))) {
    if (name !== MARKER_NAME) await removeAt(places.item(join(directory, name)))
  }
}

/** Makes a data directory unusable for a server, durably, before anything in it changes. */
export async function removeControlFile(places: HeldPlaces, directory: string): Promise<void> {
  const path = join(directory, CONTROL_FILE_PATH)
  try {
    await unlink(places.item(path))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  await syncDirectory(places.directory(dirname(path)))
}

/**
 * Removes what is at `path`, a tree too, if anything; never what is behind a link, even if one
 * appears meanwhile.
 */
export async function removeAt(path: string): Promise<void> {
  const found = await lstatIfAny(path)
  if (found?.isDirectory() !== true) return await rm(filePath(path), { force: true })
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants
  {
    await using directory = await open(filePath(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    const place = placeOf(directory.fd)
    for (const { name } of await readItems(place)) await removeAt(join(place, name))
  }
  await rmdir(filePath(path))
}

/** The paths a backup has, by kind. Relative to the data directory. */
export interface BackupPaths {
  readonly files: ReadonlySet<string>
  readonly directories: ReadonlySet<string>
  /** Links of tablespaces and where each must lead: only then its tree is walked through. */
  readonly links: ReadonlyMap<string, string>
}

/** A data directory that is made to hold what a backup holds. */
export interface CorrectedDirectory {
  readonly places: HeldPlaces
  readonly directory: string
  readonly paths: BackupPaths
}

/**
 * Removes from a data directory what the backup does not have, and what has another kind there.
 * `below`: the directory in question, relative; '' for all.
 */
export async function removeForeign(order: CorrectedDirectory, below = ''): Promise<void> {
  const { places, directory } = order
  for (const item of await readItems(places.directory(join(directory, below)))) {
    const path = below === '' ? item.name : `${below}/${item.name}`
    if (path === MARKER_NAME || isMarkerElsewhere(path)) continue
    if (!(await belongs(order, path, item))) await removeAt(places.item(join(directory, path)))
    else if (!item.isFile()) await removeForeign(order, path)
  }
}

async function belongs(
  { places, directory, paths }: CorrectedDirectory,
  path: string,
  item: DirectoryItem,
): Promise<boolean> {
  if (item.isFile()) return paths.files.has(path)
  if (item.isDirectory()) return paths.directories.has(path)
  if (!item.isSymbolicLink()) return false
  // An operator's choice of disk (initdb --waldir), which no backup knows of.
  if (path === 'pg_wal') return true
  const target = await readlink(filePath(places.item(join(directory, path))), 'utf8')
  return paths.links.get(path) === target
}

/** In the directory of a tablespace or of the WAL. */
function isMarkerElsewhere(path: string): boolean {
  if (path === `pg_wal/${MARKER_NAME}`) return true
  return path.startsWith('pg_tblspc/') && path.endsWith(`/${MARKER_NAME}`)
}
