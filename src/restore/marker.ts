/**
 * The file that marks a directory as half restored. It is there before the first byte and goes
 * after the last; while it is there without a pg_control, the directory is ours to empty and no
 * server can start on it. The directory of a tablespace gets one too, so that repeating a restore
 * never empties a directory that has become somebody else's meanwhile.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { errnoOf } from '../host/file-error.ts'
import { readWhole, replaceFile } from '../host/local-files.ts'
import { SMALL_FILE_BYTES } from '../host/read-limit.ts'
import type { BackupId } from '../repository/backup-info.ts'
import { writeNewFile } from '../util/new-file.ts'
import { livenessOf, type ProcessIdentity, thisProcess } from '../util/process-identity.ts'
import { syncDirectory } from '../util/sync-directory.ts'

/** Its name in the data directory and in the directories of tablespaces. */
export const MARKER_NAME = 'backstay-restore.json'

/** Of the note in a copy that was opened (opened-copy.ts). */
export const COPY_NOTE_NAME = 'backstay-copy.json'

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
    const text = await readWhole(join(directory, MARKER_NAME), { limitBytes: SMALL_FILE_BYTES })
    if (text === undefined) return undefined
    const value = JSON.parse(text.toString()) as Partial<RestoreMarker>
    const isMarker = typeof value.systemIdentifier === 'string' && isHolder(value.holder)
    return isMarker ? (value as RestoreMarker) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
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
  if (found !== undefined) checkHolder(marker.directory, found)
  await replaceFile(path, text, { mode: 0o600, owner: undefined })
}

function isHolder(value: Partial<ProcessIdentity> | undefined): boolean {
  return typeof value?.host === 'string' && Number.isSafeInteger(value.pid)
}

/** Takes the mark away, durably: the restore is complete. */
export async function removeMarker(directory: string): Promise<void> {
  await rm(join(directory, MARKER_NAME), { force: true })
  await syncDirectory(directory)
}

/**
 * @throws {BackstayError} REPOSITORY_LOCKED when the process that wrote the marker is still at
 * work, or may be.
 */
export function checkHolder(directory: string, marker: RestoreMarker): void {
  const self = thisProcess()
  const { holder } = marker
  const isSelf = holder.pid === self.pid && holder.startTicks === self.startTicks
  const liveness = livenessOf(holder, self)
  if (isSelf || liveness === 'dead') return
  const { backup, startedAt } = marker
  const host = holder.host.split('/')[0] ?? holder.host
  const [on, is] = liveness === 'alive' ? ['', 'is'] : [` on host "${host}"`, 'may still be']
  throw new BackstayError(
    'REPOSITORY_LOCKED',
    `Cannot restore into "${directory}": pid ${holder.pid}${on} ${is} restoring backup ${backup} there since ${startedAt}`,
    {
      hint:
        liveness === 'alive'
          ? 'Wait for it, or stop it.'
          : `Whether that process lives cannot be seen from here: look as root on that host, or outside the container. If it is gone for good, empty "${directory}", "${MARKER_NAME}" too, and repeat the restore.`,
      details: { directory, pid: holder.pid, host, liveness },
    },
  )
}
