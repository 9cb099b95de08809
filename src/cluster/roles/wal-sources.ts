/**
 * Who holds WAL that a candidate may lack: the old primary's own directory, other standbys, the backup server. And how far
 * the WAL of each reaches without a hole from where the candidate stands.
 */
import { posix } from 'node:path'
import type { Host } from '../../host/host.ts'
import { addBytes, type Lsn } from '../../postgres/lsn.ts'
import {
  formatSegmentName,
  parseSegmentName,
  segmentOf,
  segmentStart,
} from '../../postgres/segment-name.ts'
import { WalScanner } from '../../postgres/wal-scanner.ts'
import { clusterNames, parsePartialName } from '../../repository/format.ts'
import { decompressFrameAsync } from '../../repository/zstd.ts'
import { spoolFileName } from '../../wal/spool-names.ts'
import type { WalPosition } from '../../wal/wal-position.ts'
import { type ClusterContext, factOf } from '../context.ts'
import type { BackupWanted, ServerWanted } from '../wanted.ts'

/** Segments scanned in a directory at most: a candidate that is further behind is not a candidate. */
const SEGMENTS_MAX = 256

/** A place that holds WAL. */
export interface WalSource {
  /** Server, or the backup server. */
  readonly name: string
  /** After the last byte it holds without a hole from the position asked about. */
  readonly endLsn: Lsn
  /** A whole segment by its name, its unfinished end as it is; undefined when it is gone. */
  readSegment(name: string): Promise<Buffer | undefined>
}

/** Where a candidate stands. */
export interface Standing extends WalPosition {
  readonly segmentBytes: number
}

/** The WAL in a server's directory, read to its last valid record. Undefined when it does not reach the position. */
export async function directorySource(
  context: ClusterContext,
  server: ServerWanted,
  standing: Standing,
): Promise<WalSource | undefined> {
  const { host } = await context.machineOf(server)
  const folder = posix.join(server.directory, 'pg_wal')
  const readSegment = async (name: string): Promise<Buffer | undefined> =>
    host.readFile(posix.join(folder, name))
  const endLsn = await endOfWal(readSegment, standing)
  return endLsn === undefined ? undefined : { name: server.name, endLsn, readSegment }
}

/** The end of valid WAL that goes on at `standing.lsn`, a boundary between records; undefined when that WAL is gone. */
export async function endOfWal(
  readSegment: WalSource['readSegment'],
  standing: Standing,
): Promise<Lsn | undefined> {
  const { lsn, segmentBytes } = standing
  const first = segmentOf(lsn, standing)
  const startLsn = segmentStart(first, segmentBytes)
  const scanner = new WalScanner({ startLsn, recordLsn: lsn, segmentBytes })
  for (let index = 0; index < SEGMENTS_MAX && scanner.stop === undefined; index += 1) {
    const name = formatSegmentName({ ...first, number: first.number + BigInt(index) }, segmentBytes)
    const content = await readSegment(name)
    if (content === undefined && index === 0 && lsn > startLsn) return undefined
    if (content === undefined) break
    for (const _record of scanner.push(content));
  }
  return scanner.endLsn
}

/**
 * The backup server's WAL, its receiver's spool included, read on its own machine. Undefined without a backup server, when it
 * cannot be reached, and when it does not hold the WAL there.
 */
export async function repositorySource(
  context: ClusterContext,
  standing: Standing,
): Promise<WalSource | undefined> {
  const { backup } = context.wanted
  if (backup === undefined) return undefined
  const readSegment = repositoryReader(context, backup, standing.segmentBytes)
  try {
    const endLsn = await endOfWal(readSegment, standing)
    return endLsn === undefined ? undefined : { name: backup.name, endLsn, readSegment }
  } catch (error) {
    factOf(error)
    return undefined
  }
}

/**
 * Reads segments on the backup server's machine: finished ones, the receiver's unfinished one as far as it has come, and
 * what was left of one that nothing will follow (`.partial`), the longest.
 */
export function repositoryReader(
  context: ClusterContext,
  backup: BackupWanted,
  segmentBytes: number,
): WalSource['readSegment'] {
  const names = clusterNames(context.wanted.name)
  const pathOf = (object: string): string => posix.join(backup.repository, object)
  const readFinished = async (host: Host, name: string): Promise<Buffer | undefined> => {
    const frame = await host.readFile(pathOf(names.walSegment(name)))
    return frame && (await decompressFrameAsync(frame, segmentBytes, `WAL segment "${name}"`))
  }
  const readPartial = async (host: Host, name: string): Promise<Buffer | undefined> => {
    const bytes = longestPartial((await host.list(pathOf(names.walPartials(name)))) ?? [], name)
    if (bytes === undefined) return undefined
    const frame = await host.readFile(pathOf(names.walPartial(name, bytes)))
    return frame && (await decompressFrameAsync(frame, bytes, `WAL segment "${name}.partial"`))
  }
  return async (name) => {
    const { host } = await context.machineOf(backup)
    const segment = parseSegmentName(name, segmentBytes)
    if (segment === undefined) return undefined
    const spooled = posix.join(pathOf(names.spool), spoolFileName(segment, segmentBytes))
    return (
      (await readFinished(host, name)) ??
      (await host.readFile(spooled)) ??
      // It may have been handed over between the two looks.
      (await readFinished(host, name)) ??
      (await readPartial(host, name))
    )
  }
}

/** Length of the longest partial object of a segment in its folder. */
function longestPartial(files: readonly string[], segment: string): number | undefined {
  const lengths = files.flatMap((file) => {
    const partial = parsePartialName(file)
    return partial?.segment === segment ? [partial.bytes] : []
  })
  return lengths.length === 0 ? undefined : Math.max(...lengths)
}

/** Names of the segments from where a candidate stands to `endLsn`. */
export function segmentsBetween(standing: Standing, endLsn: Lsn): readonly string[] {
  const { segmentBytes, lsn } = standing
  if (endLsn <= lsn) return []
  const first = segmentOf(lsn, standing).number
  const last = segmentOf(addBytes(endLsn, -1), standing).number
  return Array.from({ length: Number(last - first) + 1 }, (_, index) =>
    formatSegmentName({ ...standing, number: first + BigInt(index) }, segmentBytes),
  )
}
