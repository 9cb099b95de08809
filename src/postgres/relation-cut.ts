/**
 * The WAL records that change files of relations without naming blocks: creation, truncation, drop,
 * a database made by copying files. PostgreSQL 17's summarizer treats the same records specially.
 * Source: PostgreSQL src/backend/postmaster/walsummarizer.c, src/include/catalog/storage_xlog.h,
 * src/include/commands/dbcommands_xlog.h, src/include/access/xact.h.
 */
import { FORK_NUMBERS, locatorAt, type RelFileLocator } from './rel-file-locator.ts'
import { BLOCKS_PER_MAP_PAGE } from './visibility-map.ts'
import { droppedRelationsOf } from './wal-event.ts'
import type { WalRecord } from './wal-record.ts'

/** From where on nothing is left of what stood in a fork. */
export type RelationCut =
  | {
      readonly kind: 'fork'
      readonly relation: RelFileLocator
      readonly fork: number
      /** The first block that is gone; 0: the file is new, or gone. */
      readonly limitBlock: number
    }
  /** All relations of a database in a tablespace: they came or went as files. */
  | { readonly kind: 'database'; readonly tablespaceOid: number; readonly databaseOid: number }

/** Resource managers (src/include/access/rmgrlist.h). */
const TRANSACTION = 1
const STORAGE = 2
const DATABASE = 4

const INFO_MASK = 0xf0
const STORAGE_CREATE = 0x10
const STORAGE_TRUNCATE = 0x20
const TRUNCATES_MAIN = 0x01
const TRUNCATES_VM = 0x02

/** Forks that WAL describes: the free space map is not among them. */
const DESCRIBED_FORKS = [FORK_NUMBERS.main, FORK_NUMBERS.vm, FORK_NUMBERS.init] as const

const NOTHING: readonly RelationCut[] = []

/**
 * What a record of PostgreSQL `major` cuts; the free space map is left out, because WAL does not
 * tell all of its changes.
 * @throws {RangeError} when the record is shorter than its kind.
 */
export function relationCutsOf(record: WalRecord, major: number): readonly RelationCut[] {
  const { resourceManager } = record
  if (resourceManager > DATABASE) return NOTHING
  if (resourceManager === TRANSACTION) {
    return droppedRelationsOf(record).flatMap((relation) =>
      DESCRIBED_FORKS.map((fork) => forkCut(relation, fork, 0)),
    )
  }
  if (resourceManager !== STORAGE && resourceManager !== DATABASE) return NOTHING
  const data = record.mainData()
  if (data === undefined) throw new RangeError('a record is too short')
  const operation = record.info & INFO_MASK
  return resourceManager === STORAGE
    ? storageCuts(operation, data)
    : databaseCuts(operation, data, major)
}

/** xl_smgr_create: locator, fork. xl_smgr_truncate: block, locator, flags. */
function storageCuts(operation: number, data: DataView): readonly RelationCut[] {
  if (operation === STORAGE_CREATE) {
    const fork = data.getInt32(12, true)
    return fork === FORK_NUMBERS.fsm ? NOTHING : [forkCut(locatorAt(data, 0), fork, 0)]
  }
  if (operation !== STORAGE_TRUNCATE) return NOTHING
  const [block, relation] = [data.getUint32(0, true), locatorAt(data, 4)]
  const flags = data.getUint32(16, true)
  const cuts: RelationCut[] = []
  if ((flags & TRUNCATES_MAIN) !== 0) cuts.push(forkCut(relation, FORK_NUMBERS.main, block))
  // The block is one of the main fork. Of the map's block that stays in part the rest is cleared.
  const mapBlock = Math.floor(block / BLOCKS_PER_MAP_PAGE)
  if ((flags & TRUNCATES_VM) !== 0) cuts.push(forkCut(relation, FORK_NUMBERS.vm, mapBlock))
  return cuts
}

function forkCut(relation: RelFileLocator, fork: number, limitBlock: number): RelationCut {
  return { kind: 'fork', relation, fork, limitBlock }
}

/**
 * Up to 14 create and drop are 0x00 and 0x10; from 15 on create is 0x00 by copying files and 0x10
 * by WAL, drop is 0x20. Both kinds of creation begin with database and tablespace.
 */
function databaseCuts(operation: number, data: DataView, major: number): readonly RelationCut[] {
  const drop = major >= 15 ? 0x20 : 0x10
  if (operation < drop) return [databaseCut(data.getUint32(4, true), data)]
  return operation === drop ? droppedDatabase(data, major) : NOTHING
}

/** Since 13 one record names all tablespaces: database, their number, each. */
function droppedDatabase(data: DataView, major: number): readonly RelationCut[] {
  if (major < 13) return [databaseCut(data.getUint32(4, true), data)]
  const cuts: RelationCut[] = []
  const count = data.getUint32(4, true)
  for (let index = 0; index < count; index += 1) {
    cuts.push(databaseCut(data.getUint32(8 + index * 4, true), data))
  }
  return cuts
}

function databaseCut(tablespaceOid: number, data: DataView): RelationCut {
  return { kind: 'database', tablespaceOid, databaseOid: data.getUint32(0, true) }
}
