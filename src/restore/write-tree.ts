/**
 * Writes a backup's tree into empty (or, with delta, old) directories: links, directories, files. Durable only after the barrier
 * of restore.ts; pg_control and the other held-back files are not written here.
 */
import { chmod, chown, lstat, mkdir, readlink, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../host/file-error.ts'
import { makeDirectory } from '../host/local-files.ts'
import type { ManifestReader } from '../repository/manifest-reader.ts'
import type { FileWorkSettings, Owner } from './file-job.ts'
import { FilePool } from './file-pool.ts'
import type { RestoreLayout } from './layout.ts'
import { HELD_BACK } from './manifest-survey.ts'
import { FileFeed, type WriteProgress } from './write-files.ts'

/** Directories every server needs; a backup holds them all, empty ones too, unless something dropped them on the way. */
const NEEDED = [
  'global',
  'base',
  'pg_tblspc',
  'pg_wal',
  'pg_wal/archive_status',
  'pg_commit_ts',
  'pg_dynshmem',
  'pg_logical',
  'pg_logical/mappings',
  'pg_logical/snapshots',
  'pg_multixact',
  'pg_multixact/members',
  'pg_multixact/offsets',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_twophase',
  'pg_xact',
]

/** What is written and how. */
export interface TreeOrder extends FileWorkSettings {
  readonly layout: RestoreLayout
  /** Mode of the data directory and of directories that are made without being in the manifest. */
  readonly directoryMode: number
  readonly isDelta: boolean
  readonly workers: number
  readonly signal: AbortSignal | undefined
  onProgress(progress: WriteProgress): void
}

/** Writes everything but what is held back. @throws {BackstayError} REPOSITORY_DAMAGED, DISK_SPACE, HOST_PRIVILEGE, FAILED; the signal's reason. */
export async function writeTree(
  manifest: ManifestReader,
  order: TreeOrder,
): Promise<WriteProgress> {
  const { directory } = order.layout
  await makeTablespaces(order)
  for (const path of NEEDED) await makeOne(join(directory, path), order.directoryMode, order.owner)
  await using pool = new FilePool(order.workers, {
    store: order.store,
    cluster: order.cluster,
    owner: order.owner,
  })
  const interrupt = (): void => pool.fail(order.signal?.reason)
  order.signal?.addEventListener('abort', interrupt, { once: true })
  try {
    order.signal?.throwIfAborted()
    const feed = new FileFeed({ ...order, pool })
    for await (const entry of manifest.entries()) {
      const path = join(directory, entry.path)
      if (entry.kind === 'directory') await makeOne(path, entry.mode, order.owner)
      else if (entry.kind === 'file' && !HELD_BACK.has(entry.path)) await feed.add(entry, path)
    }
    return await feed.finish()
  } finally {
    order.signal?.removeEventListener('abort', interrupt)
  }
}

/** The tablespaces' directories and the links to them, so that files are written through the links. */
async function makeTablespaces(order: TreeOrder): Promise<void> {
  const { layout, owner } = order
  await makeOne(join(layout.directory, 'pg_tblspc'), order.directoryMode, owner)
  for (const { oid, directory } of layout.tablespaces) {
    await makeDirectory(directory, { mode: order.directoryMode, owner })
    const link = join(layout.directory, `pg_tblspc/${oid}`)
    if ((await linkTarget(link)) === directory) continue
    await rm(link, { recursive: true, force: true })
    await symlink(directory, link)
  }
}

async function makeOne(path: string, mode: number, owner: Owner | undefined): Promise<void> {
  try {
    await mkdir(path, { mode })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  const found = await lstat(path)
  if (owner !== undefined && (found.uid !== owner.uid || found.gid !== owner.gid)) {
    await chown(path, owner.uid, owner.gid)
  }
  if ((found.mode & 0o7777) !== mode) await chmod(path, mode)
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EINVAL') return undefined
    throw error
  }
}
