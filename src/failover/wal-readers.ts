/**
 * Reads WAL where it lies: in a server's pg_wal, and on the backup server with its receiver's
 * spool.
 */
import { posix } from 'node:path'
import type { Host } from '../host/host.ts'
import { runChecked } from '../host/run-checked.ts'
import { parseSegmentName, segmentStart } from '../postgres/segment-name.ts'
import { clusterNames, type PartialName, parsePartialName } from '../repository/format.ts'
import { decompressFrameAsync } from '../repository/codec.ts'
import {
  acknowledgedOf,
  decodeStatus,
  RECEIVER_STATUS_FILE,
  STATUS_BYTES_MAX,
} from '../wal/receiver-status.ts'
import { spoolFileName } from '../wal/spool-names.ts'
import type { WalPosition } from '../wal/wal-position.ts'
import type { ClusterContext, Machine } from '../cluster/context.ts'
import type { BackupWanted, ServerWanted } from '../cluster/wanted.ts'
import type { WalReader } from './wal-reach.ts'
import { isPageOf } from './wal-tail.ts'

/** Bytes of a page header that say where the page stands. */
const HEAD_BYTES = 24
/** Segments looked at by one command. */
const HEADS_AT_ONCE = 500
const SEGMENT = /^[0-9A-F]{24}/

/** Reads a server's pg_wal. */
export async function directoryReader(
  context: ClusterContext,
  server: ServerWanted,
  segmentBytes: number,
): Promise<WalReader> {
  const machine = await context.machineOf(server)
  const folder = posix.join(server.directory, 'pg_wal')
  return {
    readSegment: async (name) => machine.host.readFile(posix.join(folder, name), segmentBytes),
    findLater: async (name, isAny) => {
      const names = (await machine.host.list(folder)) ?? []
      const later = names.filter((each) => each.length === 24 && isLater(each, name))
      return isAny
        ? later.toSorted()[0]
        : await findTrue(machine, folder, { names: later, segmentBytes })
    },
  }
}

/** The first that is what its name says: those that wait to be written again hold older WAL. */
async function findTrue(
  { host, osUser }: Machine,
  folder: string,
  later: { readonly names: readonly string[]; readonly segmentBytes: number },
): Promise<string | undefined> {
  const { names, segmentBytes } = later
  const script = `cd -- "$1" || exit; shift; for f; do dd if="$f" bs=${HEAD_BYTES} count=1 2>/dev/null | base64; done`
  for (let at = 0; at < names.length; at += HEADS_AT_ONCE) {
    const some = names.slice(at, at + HEADS_AT_ONCE)
    const words = ['sh', '-c', script, 'sh', folder, ...some]
    const { stdout } = await runChecked(host, words, { user: osUser })
    const heads = stdout.split('\n')
    const found = some.find((name, index) => {
      const segment = parseSegmentName(name, segmentBytes)
      const head = Buffer.from(heads[index] ?? '', 'base64')
      return segment !== undefined && isPageOf(head, segmentStart(segment, segmentBytes))
    })
    if (found !== undefined) return found
  }
  return undefined
}

/** Segments of one timeline, by their names. */
function isLater(name: string, than: string): boolean {
  return SEGMENT.test(name) && name.slice(0, 8) === than.slice(0, 8) && name.slice(0, 24) > than
}

/**
 * Reads segments on the backup server's machine: finished ones, the receiver's unfinished one as
 * far as it has come, and what was left of one that nothing will follow (`.partial`), the longest.
 */
export function repositoryReader(
  context: ClusterContext,
  backup: BackupWanted,
  segmentBytes: number,
): WalReader {
  const names = clusterNames(context.wanted.name)
  // What cannot be compressed grows a little.
  const frameBytes = 2 * segmentBytes
  const pathOf = (object: string): string => posix.join(backup.repository, object)
  const readFinished = async (host: Host, name: string): Promise<Buffer | undefined> => {
    const frame = await host.readFile(pathOf(names.walSegment(name)), frameBytes)
    return frame && (await decompressFrameAsync(frame, segmentBytes, `WAL segment "${name}"`))
  }
  const readPartial = async (host: Host, name: string): Promise<Buffer | undefined> => {
    const partial = longestPartial((await host.list(pathOf(names.walPartials(name)))) ?? [], name)
    if (partial === undefined) return undefined
    const frame = await host.readFile(pathOf(names.walPartial(partial)), frameBytes)
    if (frame === undefined) return undefined
    const what = `WAL segment "${name}.partial"`
    const held = await decompressFrameAsync(frame, partial.bytes, what)
    // It was stored without the zeros at its end, and its last record may end with some.
    return Buffer.concat([held, Buffer.alloc(segmentBytes - held.length)])
  }
  const readSegment = async (name: string): Promise<Buffer | undefined> => {
    const { host } = await context.machineOf(backup)
    const segment = parseSegmentName(name, segmentBytes)
    if (segment === undefined) return undefined
    const spooled = posix.join(pathOf(names.spool), spoolFileName(segment, segmentBytes))
    return (
      (await readFinished(host, name)) ??
      (await host.readFile(spooled, segmentBytes)) ??
      // It may have been handed over between the two looks.
      (await readFinished(host, name)) ??
      (await readPartial(host, name))
    )
  }
  const findLater = async (name: string): Promise<string | undefined> => {
    const { host } = await context.machineOf(backup)
    const timeline = posix.dirname(pathOf(names.walPartials(name)))
    const high = ((await host.list(timeline)) ?? []).filter((each) => each >= name.slice(8, 16))
    const folders = [pathOf(names.spool), ...high.map((each) => posix.join(timeline, each))]
    const files = await Promise.all(folders.map(async (folder) => host.list(folder)))
    return files
      .flatMap((each) => each ?? [])
      .find((file) => isLater(file, name))
      ?.slice(0, 24)
  }
  return { readSegment, findLater }
}

/**
 * Up to where the receiver last said that its WAL is safe. `none`: it has never received; undefined
 * when it has never said anything, or that cannot be read. @throws what reading throws.
 */
export async function receivedByRepository(
  context: ClusterContext,
  backup: BackupWanted,
): Promise<WalPosition | 'none' | undefined> {
  const { host } = await context.machineOf(backup)
  const { spool } = clusterNames(context.wanted.name)
  const path = posix.join(backup.repository, spool, RECEIVER_STATUS_FILE)
  const text = await host.readFile(path, STATUS_BYTES_MAX)
  const status = text && decodeStatus(text.toString())
  if (status === undefined) return undefined
  return acknowledgedOf(status) ?? 'none'
}

/** The longest partial object of a segment in its folder. */
function longestPartial(files: readonly string[], segment: string): PartialName | undefined {
  return files
    .flatMap((file) => parsePartialName(file) ?? [])
    .filter((partial) => partial.segment === segment)
    .toSorted((a, b) => b.bytes - a.bytes)[0]
}
