/**
 * Writes a backup's tree into empty (or, with delta, old) directories: links, directories, files.
 * Durable only after the barrier of restore.ts; pg_control and the other held-back files are not
 * written here.
 */
import { readlinkSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '../host/file-error.ts'
import type { ManifestEntry } from '../repository/manifest-entry.ts'
import type { ManifestReader } from '../repository/manifest-reader.ts'
import type { FileWorkSettings } from './worker-job.ts'
import { FilePool } from './restore-workers.ts'
import type { HeldPlaces } from './held-places.ts'
import type { RestoreLayout } from './layout.ts'
import { checkPath, isHeldBack } from './manifest-survey.ts'
import { removeAt } from './old-content.ts'
import { FileFeed, type WriteProgress } from './feed-workers.ts'

/**
 * Directories every server needs; a backup holds them all, empty ones too, unless something dropped
 * them on the way.
 */
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

const BACKUP_MANIFEST = 'backup_manifest'
/** A server's files are never set-id or sticky. */
const MODE_BITS = 0o777

/** What is written and how. */
export interface TreeOrder extends FileWorkSettings {
  readonly layout: RestoreLayout
  readonly places: HeldPlaces
  readonly major: number
  /** Mode of the data directory and of directories that are made without being in the manifest. */
  readonly directoryMode: number
  readonly isDelta: boolean
  readonly workers: number
  readonly signal: AbortSignal | undefined
  onProgress(progress: WriteProgress): void
}

/**
 * Writes everything but what is held back.
 * @throws {BackstayError} REPOSITORY_DAMAGED, DISK_SPACE, HOST_PRIVILEGE, FAILED; the signal's
 * reason.
 */
export async function writeTree(
  manifest: ManifestReader,
  order: TreeOrder,
): Promise<WriteProgress> {
  const { places } = order
  const { directory } = order.layout
  await makeTablespaces(order)
  await makeWalLink(order)
  for (const path of NEEDED) places.make(join(directory, path), order.directoryMode)
  await using pool = new FilePool(order.workers, {
    store: order.store,
    cluster: order.cluster,
    held: order.held,
  })
  const interrupt = (): void => pool.fail(order.signal?.reason)
  order.signal?.addEventListener('abort', interrupt, { once: true })
  try {
    order.signal?.throwIfAborted()
    const feed = new FileFeed({ ...order, pool })
    for await (const entry of manifest.entries()) {
      checkPath(entry, order.major)
      if (isHeldBack(entry.path)) continue
      const path = join(directory, entry.path)
      const mode = modeOf(entry, order.directoryMode)
      if (entry.kind === 'directory') places.make(path, mode)
      else if (entry.kind === 'file') await feed.add({ ...entry, mode }, path)
    }
    return await feed.finish()
  } finally {
    order.signal?.removeEventListener('abort', interrupt)
  }
}

/** The manifest of a base backup is no file of the server's, so it has no mode of its own. */
function modeOf(entry: ManifestEntry, directoryMode: number): number {
  if (!('mode' in entry)) return 0
  const isManifest = entry.path === BACKUP_MANIFEST
  return (isManifest ? entry.mode | (directoryMode & 0o040) : entry.mode) & MODE_BITS
}

/** The links to the tablespaces' directories, as the server wants them. */
async function makeTablespaces(order: TreeOrder): Promise<void> {
  const { layout, places, directoryMode } = order
  places.make(join(layout.directory, 'pg_tblspc'), directoryMode)
  for (const { oid, directory } of layout.tablespaces) {
    await makeLink(places.item(join(layout.directory, `pg_tblspc/${oid}`)), directory)
  }
  for (const path of layout.inside) {
    const directory = join(layout.directory, path)
    const item = places.item(directory)
    if (linkTarget(item) !== undefined) await removeAt(item)
    places.make(directory, directoryMode)
  }
}

/**
 * A plain pg_wal that is in its place goes: what it held was looked at when the restore was
 * prepared.
 */
async function makeWalLink({ layout, places }: TreeOrder): Promise<void> {
  if (layout.walDirectory === undefined) return
  await makeLink(places.item(join(layout.directory, 'pg_wal')), layout.walDirectory)
}

/**
 * Root's it stays: a link has no descriptor to give it away by, and by its name another file would
 * be in its place.
 */
async function makeLink(link: string, target: string): Promise<void> {
  if (linkTarget(link) === target) return
  await removeAt(link)
  symlinkSync(target, link)
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EINVAL') return undefined
    throw error
  }
}
