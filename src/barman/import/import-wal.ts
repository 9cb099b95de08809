/**
 * Takes Barman's WAL into the repository. Each file is unpacked and looked at as if a server had
 * just sent it.
 */
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import { parseWalFileName } from '../../postgres/segment-name.ts'
import { inspectSegment } from '../../postgres/wal-page.ts'
import type { ClusterRepository, ServerIdentity } from '../../repository/cluster-repository.ts'
import { forEachBounded } from '../../util/bounded.ts'
import { pushWalContent } from '../../wal/push.ts'
import { decompressWal, incomingBytesMax } from '../wal/decompress.ts'
import { pipeThrough } from '../wal/pipe-through.ts'
import { unreadable } from './barman-place.ts'
import type { BarmanWalFile } from './wal-files.ts'
import { readRegular } from '../../util/read-regular.ts'

/** At most so many segments are in memory. */
const AT_ONCE = 4
/** Larger segments come one by one. */
const LARGE_SEGMENT_BYTES = 64 * 1024 * 1024

/** What became of the files. */
export interface WalImport {
  readonly stored: number
  /** Were there already with the same content. */
  readonly present: number
  /** Files that were not taken, and why. */
  readonly problems: readonly { readonly name: string; readonly why: string }[]
}

/** How files are unpacked, and who is told how far it is. */
interface WalImportOrder {
  readonly customFilter: string | undefined
  readonly signal: AbortSignal
  readonly onProgress: (doneBytes: number) => void
}

/**
 * Stores the files; what is no WAL of this cluster, or is there with other content, is left out and
 * named.
 * @throws {BackstayError} STORE, DISK_SPACE, HOST_PRIVILEGE; the signal's reason.
 */
export async function importWal(
  cluster: ClusterRepository,
  files: readonly BarmanWalFile[],
  order: WalImportOrder,
): Promise<WalImport> {
  const problems: { name: string; why: string }[] = []
  const counts = { stored: 0, present: 0, bytes: 0 }
  const isLarge = cluster.identity.segmentBytes > LARGE_SEGMENT_BYTES
  const take = async (file: BarmanWalFile): Promise<void> => {
    order.signal.throwIfAborted()
    const why = await takeOne(cluster, file, { order, counts })
    if (why !== undefined) problems.push({ name: file.name, why })
    counts.bytes += file.bytes
    order.onProgress(counts.bytes)
  }
  // An unfinished segment is judged by the one before it.
  const isPartial = (file: BarmanWalFile): boolean => file.name.endsWith('.partial')
  const whole = files.filter((file) => !isPartial(file))
  await forEachBounded(whole, isLarge ? 1 : AT_ONCE, take)
  await forEachBounded(files.filter(isPartial), 1, take)
  return { stored: counts.stored, present: counts.present, problems }
}

async function takeOne(
  cluster: ClusterRepository,
  file: BarmanWalFile,
  { order, counts }: { order: WalImportOrder; counts: { stored: number; present: number } },
): Promise<string | undefined> {
  try {
    const content = await readBarmanWal(file, order.customFilter)
    const outcome = await pushWalContent(cluster, file.name, content)
    counts[outcome === 'present' ? 'present' : 'stored'] += 1
    return undefined
  } catch (error) {
    if (isBackstayError(error, 'WAL_INVALID') || isBackstayError(error, 'WAL_CONFLICT')) {
      return error.message
    }
    throw error
  }
}

/**
 * The file as PostgreSQL wrote it.
 * @throws {BackstayError} WAL_INVALID when it cannot be unpacked.
 */
async function readBarmanWal(
  file: BarmanWalFile,
  customFilter: string | undefined,
): Promise<Buffer> {
  const { name, path, isCustom, isEncrypted } = file
  if (isEncrypted) throw new BackstayError('WAL_INVALID', `Cannot read "${path}": it is encrypted`)
  const content = await readRegular(path, incomingBytesMax(name)).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  if (!isCustom) return await decompressWal(name, content)
  if (customFilter === undefined) {
    const text = `Cannot unpack "${path}": custom_decompression_filter is not configured`
    throw new BackstayError('WAL_INVALID', text)
  }
  try {
    return await pipeThrough(['/bin/sh', '-c', customFilter], content)
  } catch (error) {
    const text = `Cannot unpack "${path}" with custom_decompression_filter: ${(error as Error).message}`
    throw new BackstayError('WAL_INVALID', text, { cause: error })
  }
}

/** Whose WAL it is, as its newest segment says; undefined when none can be read. */
export async function identityOfWal(
  files: readonly BarmanWalFile[],
  customFilter: string | undefined,
): Promise<ServerIdentity | undefined> {
  for (const file of files.toReversed()) {
    if (parseWalFileName(file.name)?.kind !== 'segment') continue
    try {
      const content = await readBarmanWal(file, customFilter)
      const { identity } = inspectSegment(content, { name: file.name })
      if (identity !== undefined) return identity
    } catch (error) {
      if (!isBackstayError(error, 'WAL_INVALID')) throw error
    }
  }
  return undefined
}
