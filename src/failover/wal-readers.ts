/**
 * Reads WAL where it lies: in a server's pg_wal, and on the backup server with its receiver's
 * spool.
 */
import { posix } from 'node:path'
import { runChecked } from '../host/run-checked.ts'
import { parseSegmentName, segmentStart } from '../postgres/segment-name.ts'
import { readHeldSegment } from '../wal/read-wal-file.ts'
import {
  acknowledgedOf,
  decodeStatus,
  RECEIVER_STATUS_FILE,
  STATUS_BYTES_MAX,
} from '../wal/receiver-status.ts'
import type { WalPosition } from '../wal/wal-position.ts'
import type { ClusterContext, Machine } from '../cluster/context.ts'
import { type RepositoryThere, repositoryThere } from '../cluster/repository-there.ts'
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
  const open = async (): Promise<RepositoryThere> => repositoryThere(context, backup, segmentBytes)
  return {
    readSegment: async (name) => {
      const { wal, store, names } = await open()
      if (parseSegmentName(name, segmentBytes) === undefined) return undefined
      const readSpool = async (file: string): Promise<Buffer | undefined> =>
        store.get(`${names.spool}/${file}`, segmentBytes)
      return (await readHeldSegment({ wal, segmentBytes, readSpool }, name))?.content
    },
    findLater: async (name) => {
      const { store, names } = await open()
      const timeline = posix.dirname(names.walPartials(name))
      const folders = (await store.listFolders(timeline)).filter((at) => at >= name.slice(8, 16))
      const places = [names.spool, ...folders.map((each) => `${timeline}/${each}`)]
      const files = await Promise.all(places.map(async (place) => store.listObjects(place)))
      return files
        .flat()
        .find((file) => isLater(file, name))
        ?.slice(0, 24)
    },
  }
}

/**
 * Up to where the receiver last said that its WAL is safe. `none`: it has never received; undefined
 * when it has never said anything, or that cannot be read. @throws what reading throws.
 */
export async function receivedByRepository(
  context: ClusterContext,
  backup: BackupWanted,
): Promise<WalPosition | 'none' | undefined> {
  const { store, names } = await repositoryThere(context, backup)
  const text = await store.get(`${names.spool}/${RECEIVER_STATUS_FILE}`, STATUS_BYTES_MAX)
  const status = text && decodeStatus(text.toString())
  if (status === undefined) return undefined
  return acknowledgedOf(status) ?? 'none'
}
