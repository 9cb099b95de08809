/**
 * What a WAL segment changes, as bytes: the body of the object that block-map-object.ts seals
 * (docs/repository-format.md §8a).
 */
import { BlockMap, type ForkEntry, type ForkLocator } from '../postgres/block-map.ts'
import type { BlockRun } from '../postgres/block-set.ts'
import { WAL_LEVELS } from '../postgres/control-file.ts'
import { type Lsn, toLsn } from '../postgres/lsn.ts'
import { FORK_NUMBERS } from '../postgres/rel-file-locator.ts'
import {
  type RecordSpan,
  SEGMENT_FORKS_MAX,
  type SegmentBlocks,
} from '../postgres/segment-blocks.ts'
import type { WalLevelChange } from '../postgres/wal-level-change.ts'
import { type ByteReader, ByteWriter } from './record-bytes.ts'

/** What would be larger is not stored. */
export const ENCODED_BYTES_MAX = 64 * 1024 * 1024

/**
 * Forks in one map, databases, changes of wal_level, stops: what has more is not stored. Bounds
 * what reading a map takes.
 */
const FORKS_MAX = SEGMENT_FORKS_MAX
const DATABASES_MAX = 2 ** 16
const WAL_LEVELS_MAX = 2 ** 12
const STOPS_MAX = 2 ** 16

const OID_MAX = 2 ** 32 - 1
/** InvalidBlockNumber, which is no block's. */
const BLOCKS_MAX = 2 ** 32 - 1

const FORK_MASK = 0x0f
const HAS_LIMIT = 0x10
const NO_LSN = toLsn(0n)

/** Undefined when it would be too large to be stored. The bytes are the caller's. */
export function encodeSegmentBlocks(blocks: SegmentBlocks): Buffer | undefined {
  const { span, walLevels, stops, map } = blocks
  const databases = [...map.databases]
  if (map.forkCount > FORKS_MAX || databases.length > DATABASES_MAX) return undefined
  if (walLevels.length > WAL_LEVELS_MAX || stops.length > STOPS_MAX) return undefined
  const writer = new ByteWriter()
  for (const lsn of spanLsns(span)) writer.u64(lsn)
  writer.varint(walLevels.length)
  for (const { lsn, endLsn, walLevel } of walLevels) {
    writer.u64(lsn)
    writer.u64(endLsn)
    writer.byte(WAL_LEVELS.indexOf(walLevel))
  }
  writer.varint(stops.length)
  for (const lsn of stops) writer.u64(lsn)
  writer.varint(databases.length)
  for (const { tablespaceOid, databaseOid } of databases) {
    writer.varint(tablespaceOid)
    writer.varint(databaseOid)
  }
  writer.varint(map.forkCount)
  for (const entry of map.entries()) writeFork(writer, entry)
  return writer.length > ENCODED_BYTES_MAX ? undefined : Buffer.from(writer.view())
}

/**
 * Reads what `encodeSegmentBlocks` wrote, up to the reader's end.
 * @param blocksMax how many blocks it may name
 * @throws {RangeError} or {BackstayError} REPOSITORY_DAMAGED when it is not that.
 */
export function decodeSegmentBlocks(reader: ByteReader, blocksMax: number): SegmentBlocks {
  const span = readSpan(reader)
  const walLevels = readWalLevels(reader)
  const stops: Lsn[] = []
  for (let left = countOf(reader, STOPS_MAX); left > 0; left -= 1) stops.push(readLsn(reader))
  const map = new BlockMap()
  for (let left = countOf(reader, DATABASES_MAX); left > 0; left -= 1) {
    map.addDatabase({ tablespaceOid: readOid(reader), databaseOid: readOid(reader) })
  }
  const budget = { blocks: blocksMax }
  let last: ForkLocator | undefined
  for (let left = countOf(reader, FORKS_MAX); left > 0; left -= 1) {
    const entry = readFork(reader, budget)
    if (last !== undefined && !isAfter(entry, last)) throw new RangeError('its forks have no order')
    map.addEntry(entry)
    last = entry
  }
  if (!reader.atEnd) throw new RangeError('something follows its last fork')
  return { span, walLevels, stops, map }
}

function spanLsns(span: RecordSpan | undefined): readonly Lsn[] {
  if (span === undefined) return [NO_LSN, NO_LSN, NO_LSN, NO_LSN]
  return [span.previousLsn, span.firstLsn, span.lastLsn, span.endLsn]
}

function readSpan(reader: ByteReader): RecordSpan | undefined {
  const span = {
    previousLsn: readLsn(reader),
    firstLsn: readLsn(reader),
    lastLsn: readLsn(reader),
    endLsn: readLsn(reader),
  }
  return span.endLsn === NO_LSN ? undefined : span
}

function readWalLevels(reader: ByteReader): WalLevelChange[] {
  const changes: WalLevelChange[] = []
  for (let left = countOf(reader, WAL_LEVELS_MAX); left > 0; left -= 1) {
    const [lsn, endLsn, walLevel] = [readLsn(reader), readLsn(reader), WAL_LEVELS[reader.byte()]]
    if (walLevel === undefined) throw new RangeError('it names an unknown wal_level')
    changes.push({ lsn, endLsn, walLevel })
  }
  return changes
}

/** Runs: the distance from the one before, doubled, plus 1 when a length of 2 or more follows. */
function writeFork(writer: ByteWriter, { limitBlock, runs, ...place }: ForkEntry): void {
  writer.varint(place.tablespaceOid)
  writer.varint(place.databaseOid)
  writer.varint(place.fileNumber)
  writer.byte(place.fork | (limitBlock === undefined ? 0 : HAS_LIMIT))
  if (limitBlock !== undefined) writer.varint(limitBlock)
  const all = [...runs]
  writer.varint(all.length)
  let end = 0
  for (const { from, to } of all) {
    const length = to - from
    writer.varint((from - end) * 2 + (length > 1 ? 1 : 0))
    if (length > 1) writer.varint(length - 2)
    end = to
  }
}

/** How many blocks may still come. */
interface Budget {
  blocks: number
}

/** Its runs are read from `reader` when they are iterated: once, and before anything else. */
function readFork(reader: ByteReader, budget: Budget): ForkEntry {
  const place = {
    tablespaceOid: readOid(reader),
    databaseOid: readOid(reader),
    fileNumber: readOid(reader),
  }
  const flags = reader.byte()
  const fork = flags & FORK_MASK
  if (fork > FORK_NUMBERS.init || (flags & ~(FORK_MASK | HAS_LIMIT)) !== 0) {
    throw new RangeError(`it names fork ${flags}`)
  }
  const limitBlock = (flags & HAS_LIMIT) === 0 ? undefined : readOid(reader)
  return { ...place, fork, limitBlock, runs: readRuns(reader, budget) }
}

function* readRuns(reader: ByteReader, budget: Budget): Generator<BlockRun, void> {
  let end = 0
  for (let left = reader.varint(); left > 0; left -= 1) {
    const step = reader.varint()
    const from = end + Math.floor(step / 2)
    const to = from + (step % 2 === 0 ? 1 : reader.varint() + 2)
    budget.blocks -= to - from
    if (to > BLOCKS_MAX || budget.blocks < 0) throw new RangeError('it names too many blocks')
    yield { from, to }
    end = to
  }
}

function isAfter(one: ForkLocator, before: ForkLocator): boolean {
  return (
    (one.tablespaceOid - before.tablespaceOid ||
      one.databaseOid - before.databaseOid ||
      one.fileNumber - before.fileNumber ||
      one.fork - before.fork) > 0
  )
}

function readOid(reader: ByteReader): number {
  const value = reader.varint()
  if (value > OID_MAX) throw new RangeError(`it has the number ${value}`)
  return value
}

function countOf(reader: ByteReader, limit: number): number {
  const count = reader.varint()
  if (count > limit) throw new RangeError(`it has ${count} where ${limit} is the limit`)
  return count
}

function readLsn(reader: ByteReader): Lsn {
  return toLsn(reader.u64())
}
