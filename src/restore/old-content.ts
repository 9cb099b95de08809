/**
 * Taking away what stands in the directories of a restore: everything of an unfinished one, or with delta whatever the
 * backup does not have.
 */
import type { Dirent } from 'node:fs'
import { readdir, readlink, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../host/file-error.ts'
import { CONTROL_FILE_PATH } from '../postgres/control-file.ts'
import { syncDirectory } from '../util/sync-directory.ts'
import { MARKER_NAME } from './marker.ts'

/** Empties a directory but for the marker. */
export async function emptyDirectory(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name !== MARKER_NAME) await rm(join(directory, name), { recursive: true, force: true })
  }
}

/** Makes a data directory unusable for a server, durably, before anything in it changes. */
export async function removeControlFile(directory: string): Promise<void> {
  try {
    await unlink(join(directory, CONTROL_FILE_PATH))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  await syncDirectory(join(directory, 'global'))
}

/** The paths a backup has, by kind. Relative to the data directory. */
export interface BackupPaths {
  readonly files: ReadonlySet<string>
  readonly directories: ReadonlySet<string>
  /** Links of tablespaces and where each must lead: only then its tree is walked through. */
  readonly links: ReadonlyMap<string, string>
}

/**
 * Removes from a data directory what the backup does not have, and what has another kind there.
 * `below`: the directory in question, relative; '' for all.
 */
export async function removeForeign(
  directory: string,
  paths: BackupPaths,
  below = '',
): Promise<void> {
  for (const item of await readdir(join(directory, below), { withFileTypes: true })) {
    const path = below === '' ? item.name : `${below}/${item.name}`
    if (path === MARKER_NAME || isMarkerOfTablespace(path)) continue
    if (!(await belongs(directory, path, { item, paths }))) {
      await rm(join(directory, path), { recursive: true, force: true })
    } else if (!item.isFile()) await removeForeign(directory, paths, path)
  }
}

async function belongs(
  directory: string,
  path: string,
  { item, paths }: { item: Dirent; paths: BackupPaths },
): Promise<boolean> {
  if (item.isFile()) return paths.files.has(path)
  if (item.isDirectory()) return paths.directories.has(path)
  if (!item.isSymbolicLink()) return false
  // An operator's choice of disk (initdb --waldir), which no backup knows of.
  if (path === 'pg_wal') return true
  return paths.links.get(path) === (await readlink(join(directory, path)))
}

function isMarkerOfTablespace(path: string): boolean {
  return path.startsWith('pg_tblspc/') && path.endsWith(`/${MARKER_NAME}`)
}
