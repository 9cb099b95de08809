/**
 * The file that marks a directory as half restored. It is there before the first byte and goes after the last; while it is
 * there without a pg_control, the directory is ours to empty and no server can start on it. The directory of a tablespace gets
 * one too, so that repeating a restore never empties a directory that has become somebody else's meanwhile.
 */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { errnoOf } from '../host/file-error.ts'
import { replaceFile } from '../host/local-files.ts'
import type { BackupId } from '../repository/backup-info.ts'
import { writeNewFile } from '../util/new-file.ts'
import { livenessOf, type ProcessIdentity, thisProcess } from '../util/process-identity.ts'
import { syncDirectory } from '../util/sync-directory.ts'

/** Its name in the data directory and in the directories of tablespaces. */
export const MARKER_NAME = 'backstay-restore.json'

/** Whether a name is a marker's temporary file, left by a process that died while it wrote one. */
export function isMarkerLeftover(name: string): boolean {
  return name.startsWith(`.${MARKER_NAME}.`)
}

/** What the marker says. */
export interface RestoreMarker {
  /** The data directory of the restore. */
  readonly directory: string
  readonly cluster: string
  readonly backup: BackupId
  readonly systemIdentifier: string
  /** ISO 8601 UTC. */
  readonly startedAt: string
  /** The process that restores. */
  readonly holder: ProcessIdentity
}

/** The marker in `directory`; undefined when there is none, or none that can be read. */
export async function readMarker(directory: string): Promise<RestoreMarker | undefined> {
  try {
    const text = await readFile(join(directory, MARKER_NAME), 'utf8')
    const value = JSON.parse(text) as Partial<RestoreMarker>
    const isMarker = typeof value.systemIdentifier === 'string' && value.holder !== undefined
    return isMarker ? (value as RestoreMarker) : undefined
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Marks `directory`, durably. A mark of a dead process is replaced.
 * @throws {BackstayError} REPOSITORY_LOCKED when another restore is at work there.
 */
export async function writeMarker(directory: string, marker: RestoreMarker): Promise<void> {
  const text = `${JSON.stringify(marker, undefined, 2)}\n`
  const path = join(directory, MARKER_NAME)
  try {
    return await writeNewFile(path, text)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  const found = await readMarker(directory)
  if (found !== undefined) checkHolder(directory, found)
  await replaceFile(path, text, { mode: 0o600, owner: undefined })
}

/** Takes the mark away, durably: the restore is complete. */
export async function removeMarker(directory: string): Promise<void> {
  await rm(join(directory, MARKER_NAME), { force: true })
  await syncDirectory(directory)
}

/** @throws {BackstayError} REPOSITORY_LOCKED when the process that wrote the marker is still at work. */
export function checkHolder(directory: string, marker: RestoreMarker): void {
  const self = thisProcess()
  const { holder } = marker
  const isSelf = holder.pid === self.pid && holder.startTicks === self.startTicks
  if (isSelf || livenessOf(holder, self) !== 'alive') return
  throw new BackstayError(
    'REPOSITORY_LOCKED',
    `Cannot restore into "${directory}": pid ${holder.pid} is restoring backup ${marker.backup} there since ${marker.startedAt}`,
  )
}
