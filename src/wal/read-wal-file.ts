/**
 * Finds a WAL file by its name wherever it is held: finished segments and history files in the
 * repository, then the receiver's spool, then partial segments. Unfinished segments come filled
 * with zeros: recovery reads them up to their last record.
 */
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { parseSegmentName, parseWalFileName } from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { spoolFileName } from './spool-names.ts'
import { spoolOf } from './spool-place.ts'
import { readRegular } from '../util/read-regular.ts'

/**
 * A WAL file and where it was found; only what comes from `repository` is finished and never
 * changes.
 */
export interface FoundWalFile {
  readonly content: Buffer
  readonly from: 'repository' | 'spool' | 'partial'
}

/**
 * The file of this name, or undefined when it is not held. A segment may be answered by its
 * unfinished beginning.
 * @throws {BackstayError} WAL_INVALID for a name of no WAL file, REPOSITORY_DAMAGED, STORE.
 */
export async function readWalFile(
  repository: ClusterRepository,
  name: string,
): Promise<FoundWalFile | undefined> {
  const { wal } = repository
  const file = parseWalFileName(name)
  if (file === undefined) {
    throw new BackstayError('WAL_INVALID', `Cannot get "${name}": that names no WAL file`)
  }
  if (file.kind === 'segment') return await readSegment(repository, name)
  if (file.kind === 'history') return found(await wal.getHistory(file.timeline), 'repository')
  if (file.kind === 'backup') return found(await wal.getBackupHistory(name), 'repository')
  return found(await wal.getPartial(name.slice(0, -'.partial'.length)), 'partial')
}

async function readSegment(
  repository: ClusterRepository,
  name: string,
): Promise<FoundWalFile | undefined> {
  const { wal } = repository
  return (
    found(await wal.getSegment(name), 'repository') ??
    found(await readSpooled(repository, name), 'spool') ??
    // It may have been handed over between the two looks.
    found(await wal.getSegment(name), 'repository') ??
    found(await wal.getPartial(name), 'partial')
  )
}

function found(content: Buffer | undefined, from: FoundWalFile['from']): FoundWalFile | undefined {
  return content === undefined ? undefined : { content, from }
}

async function readSpooled(
  repository: ClusterRepository,
  name: string,
): Promise<Buffer | undefined> {
  const { directory, segmentBytes } = spoolOf(repository)
  const segment = parseSegmentName(name, segmentBytes)
  if (segment === undefined) return undefined
  try {
    const held = await readRegular(
      join(directory, spoolFileName(segment, segmentBytes)),
      segmentBytes,
    )
    if (held.length >= segmentBytes) return held
    return Buffer.concat([held, Buffer.alloc(segmentBytes - held.length)])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new BackstayError('STORE', `Cannot read the spool: ${(error as Error).message}`, {
      cause: error,
    })
  }
}
