/**
 * Whether a directory can take a restore: what is in it, who uses it, and what that allows.
 */
import { join } from 'node:path'
import { SMALL_FILE_BYTES } from '../host/read-limit.ts'
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import type { Host, PathInfo } from '../host/host.ts'
import { findPostmaster, type Postmaster } from '../host/postmaster.ts'
import { CONTROL_FILE_PATH, parseControlFile } from '../postgres/control-file.ts'
import { type LinkedPlace, linkedPlaces, type RestoreLayout } from './layout.ts'
import { serversUsing } from './tablespace-users.ts'
import { identifierOfWal } from './wal-identifier.ts'
import { checkHolder, isMarkerLeftover, readMarker, type RestoreMarker } from './marker.ts'

/** What stands where the data directory is to be. */
export interface FoundDirectory {
  /** The names in it; empty when it is empty or not there. */
  readonly names: readonly string[]
  /** Left by a restore that did not end. */
  readonly marker: RestoreMarker | undefined
  /**
   * System identifier of the cluster in it, by pg_control or, when that is gone, by its WAL;
   * undefined when neither says it.
   */
  readonly systemIdentifier: string | undefined
  readonly hasControl: boolean
  readonly postmaster: Postmaster | undefined
}

/**
 * How the directory is filled. `fresh`: it is empty · `redo`: it holds a restore that did not end,
 * and is emptied · `delta`: what is right in it is kept.
 */
export type FillMode = 'fresh' | 'redo' | 'delta'

/** Stands for a system identifier where pg_control is there but cannot be read. */
const UNREADABLE = 'unreadable'

/**
 * Looks at the data directory.
 * @throws {BackstayError} DIRECTORY_FOREIGN when it is no directory.
 */
export async function lookAtDirectory(host: Host, directory: string): Promise<FoundDirectory> {
  const names = await namesIn(host, directory)
  const control = await host.readFile(join(directory, CONTROL_FILE_PATH), SMALL_FILE_BYTES)
  return {
    names,
    marker: await readMarker(directory),
    hasControl: control !== undefined,
    systemIdentifier:
      control === undefined ? await identifierOfWal(directory) : identifierOf(control),
    postmaster: await findPostmaster(host, directory),
  }
}

/**
 * Decides how the directory is filled, or refuses.
 * @throws {BackstayError} SERVER_RUNNING, REPOSITORY_LOCKED, DIRECTORY_FOREIGN, POSTGRES_IDENTITY.
 */
export function decideFill(
  directory: string,
  found: FoundDirectory,
  wish: { readonly isDelta: boolean; readonly systemIdentifier: string },
): FillMode {
  const { names, marker, systemIdentifier, postmaster } = found
  if (postmaster !== undefined) throw running(directory, postmaster)
  if (marker !== undefined) checkHolder(directory, marker)
  if (names.length === 0) return 'fresh'
  const isBegun = marker !== undefined || names.every(isMarkerLeftover)
  const isUnfinished = isBegun && !found.hasControl
  if (isUnfinished && !wish.isDelta) return 'redo'
  const holds = found.hasControl ? systemIdentifier : (marker?.systemIdentifier ?? systemIdentifier)
  if (!wish.isDelta || holds === undefined) throw notEmpty(directory, found)
  if (holds === wish.systemIdentifier) return 'delta'
  throw new BackstayError(
    'POSTGRES_IDENTITY',
    `Cannot restore into "${directory}": it belongs to system identifier ${holds}, the backup to ${wish.systemIdentifier}`,
  )
}

/**
 * Checks the directories of tablespaces and WAL: empty, or begun by this very restore, or with
 * `delta` used by the data directory already. Returns those that are not empty.
 * @throws {BackstayError} DIRECTORY_FOREIGN, SERVER_RUNNING when a server uses one, wherever its
 * data directory is.
 */
export async function checkLinked(
  host: Host,
  layout: RestoreLayout,
  mode: FillMode,
): Promise<readonly string[]> {
  const filled: string[] = []
  for (const place of linkedPlaces(layout)) {
    const { directory, path, what, option } = place
    const link = await host.inspect(join(layout.directory, path))
    if (mode === 'delta' && path === 'pg_wal') checkWalLink(layout.directory, link, directory)
    const names = await namesIn(host, directory)
    if (names.length === 0) continue
    filled.push(directory)
    const [server] = await serversUsing(directory)
    if (server !== undefined) throw inUse(place, server)
    if (names.every(isMarkerLeftover)) continue
    // A restore marks the data directory first: without one there this mark is somebody else's.
    const isOurs = mode !== 'fresh' && (await readMarker(directory))?.directory === layout.directory
    if (isOurs) continue
    if (mode === 'delta' && link?.target === directory) continue
    throw new BackstayError(
      'DIRECTORY_FOREIGN',
      `Cannot restore ${what} into "${directory}": it is not empty`,
      { hint: `Name an empty directory with ${option}.`, details: { directory } },
    )
  }
  return filled
}

/**
 * WAL that is on another disk already stays there: a second directory of it would be left behind,
 * forgotten.
 */
function checkWalLink(data: string, link: PathInfo | undefined, wanted: string): void {
  if (link?.kind !== 'link' || link.target === wanted) return
  throw new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot put the WAL of "${data}" into "${wanted}": it is in "${link.target}" already`,
    { hint: 'Leave --wal-directory out: with --delta it stays where it is.' },
  )
}

async function namesIn(host: Host, directory: string): Promise<readonly string[]> {
  const names = await host.list(directory)
  if (names !== undefined) return names
  if ((await host.inspect(directory)) === undefined) return []
  throw new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot restore into "${directory}": it is no directory`,
  )
}

function identifierOf(control: Buffer): string {
  try {
    return parseControlFile(control).systemIdentifier
  } catch (error) {
    if (isBackstayError(error)) return UNREADABLE
    throw error
  }
}

function running(directory: string, postmaster: Postmaster): BackstayError {
  const { pid, port } = postmaster
  const where = port === undefined ? '' : ` on port ${port}`
  return new BackstayError(
    'SERVER_RUNNING',
    `Cannot restore into "${directory}": a server (pid ${pid}) runs there${where}`,
    { details: { directory, pid } },
  )
}

function inUse({ what, directory, option }: LinkedPlace, server: string): BackstayError {
  return new BackstayError(
    'SERVER_RUNNING',
    `Cannot restore ${what} into "${directory}": the server that runs on "${server}" uses it`,
    {
      hint: `Name an empty directory with ${option}.`,
      details: { directory, server },
    },
  )
}

function notEmpty(directory: string, found: FoundDirectory): BackstayError {
  const isCluster = found.systemIdentifier !== undefined
  return new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot restore into "${directory}": it is not empty`,
    {
      hint: isCluster
        ? 'It holds a PostgreSQL cluster: name another directory, or use --delta to turn it into the backup.'
        : 'Name another directory, or move its content away yourself.',
      details: { directory, names: found.names.slice(0, 10) },
    },
  )
}
