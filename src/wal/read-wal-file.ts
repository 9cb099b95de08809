/**
 * Finds a WAL file by its name wherever it is held: finished segments and history files in the
 * repository, then the receiver's spool, then partial segments. Unfinished segments come filled
 * with zeros: recovery reads them up to their last record.
 */
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { parseSegmentName, parseWalFileName } from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import type { WalObjects } from '../repository/wal-objects.ts'
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

/** Where WAL is looked for. */
export interface WalHolder {
  readonly wal: WalObjects
  readonly segmentBytes: number
  /** A file of the receiver's spool, of at most a segment; undefined when it is gone. */
  readonly readSpool: (file: string) => Promise<Buffer | undefined>
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
  const { segmentBytes } = repository.identity
  const file = parseWalFileName(name)
  if (file === undefined) {
    throw new BackstayError('WAL_INVALID', `Cannot get "${name}": that names no WAL file`)
  }
  if (file.kind === 'segment') {
    const readSpool = async (spooled: string): Promise<Buffer | undefined> =>
      readSpoolHere(repository, spooled)
    const held = await readHeldSegment({ wal, segmentBytes, readSpool }, name)
    return held && { ...held, content: filled(held.content, segmentBytes) }
  }
  if (file.kind === 'history') return found(await wal.getHistory(file.timeline), 'repository')
  if (file.kind === 'backup') return found(await wal.getBackupHistory(name), 'repository')
  return found(await wal.getPartial(name.slice(0, -'.partial'.length)), 'partial')
}

/**
 * A segment wherever it is held; one from the spool as far as it has come, without what fills it.
 * @throws {BackstayError} REPOSITORY_DAMAGED; what reading throws
 */
export async function readHeldSegment(
  { wal, segmentBytes, readSpool }: WalHolder,
  name: string,
): Promise<FoundWalFile | undefined> {
  const segment = parseSegmentName(name, segmentBytes)
  return (
    found(await wal.getSegment(name), 'repository') ??
    found(segment && (await readSpool(spoolFileName(segment, segmentBytes))), 'spool') ??
    // It may have been handed over between the two looks.
    found(await wal.getSegment(name), 'repository') ??
    found(await wal.getPartial(name), 'partial')
  )
}

function found(content: Buffer | undefined, from: FoundWalFile['from']): FoundWalFile | undefined {
  return content === undefined ? undefined : { content, from }
}

function filled(content: Buffer, segmentBytes: number): Buffer {
  if (content.length >= segmentBytes) return content
  return Buffer.concat([content, Buffer.alloc(segmentBytes - content.length)])
}

async function readSpoolHere(
  repository: ClusterRepository,
  file: string,
): Promise<Buffer | undefined> {
  const { directory, segmentBytes } = spoolOf(repository)
  try {
    return await readRegular(join(directory, file), segmentBytes)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new BackstayError('STORE', `Cannot read the spool: ${(error as Error).message}`, {
      cause: error,
    })
  }
}
