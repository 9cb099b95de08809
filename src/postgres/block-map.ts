/**
 * Which blocks of which relations a stretch of WAL changes: for each fork of a relation from where
 * on nothing is left of it (its limit), and the blocks written, those behind the limit only as far
 * as they were written after it was cut. The same as PostgreSQL 17 keeps in its WAL summaries.
 * Source: PostgreSQL src/common/blkreftable.c.
 *
 * The free space map is not in it: WAL does not tell all of its changes. A page that a relation
 * grew by and nobody wrote to is in no WAL: it lies behind the end of an older copy of the file.
 */
import { type BlockRun, BlockSet } from './block-set.ts'
import { FORK_NUMBERS, type RelFileLocator } from './rel-file-locator.ts'
import type { RelationCut } from './relation-cut.ts'
import { BLOCKS_PER_MAP_PAGE } from './visibility-map.ts'

/** A fork of a relation. */
export interface ForkLocator extends RelFileLocator {
  readonly fork: number
}

/** A fork's changes as they are kept and stored. */
export interface ForkEntry extends ForkLocator {
  /** The first block of which nothing is left; undefined when the fork was not cut. */
  readonly limitBlock: number | undefined
  /** Ascending, none touching the next. */
  readonly runs: Iterable<BlockRun>
}

/** All relations of a database in a tablespace. */
export interface DatabaseLocator {
  readonly tablespaceOid: number
  readonly databaseOid: number
}

interface ForkChanges {
  limitBlock: number
  /** Made with the first block: a drop of many relations names none. */
  blocks: BlockSet | undefined
}

interface RelationChanges extends RelFileLocator {
  readonly forks: (ForkChanges | undefined)[]
}

const NO_LIMIT = Infinity
const LAST_FORK = FORK_NUMBERS.init

/** Grows by what is marked, cut and merged, in the order of WAL. */
export class BlockMap {
  /** File numbers are nearly unique: the relations that share one are looked through. */
  readonly #relations = new Map<number, RelationChanges[]>()
  readonly #databases = new Map<string, DatabaseLocator>()
  #last: RelationChanges | undefined
  #forkCount = 0

  /** How many forks of relations are in it. */
  get forkCount(): number {
    return this.#forkCount
  }

  /** The databases that came or went as files: everything of them has to be taken. */
  get databases(): Iterable<DatabaseLocator> {
    return this.#databases.values()
  }

  /** A block was written. Forks that WAL does not describe are passed over. */
  mark(place: ForkLocator & { readonly block: number }): void {
    const { fork } = place
    if (fork !== FORK_NUMBERS.fsm && fork <= LAST_FORK) this.#blocks(place).add(place.block)
  }

  /** Something was cut, made anew or dropped: what was written behind it before counts no more. */
  cut(cut: RelationCut): void {
    if (cut.kind === 'database') this.addDatabase(cut)
    else this.#cutFork({ ...cut.relation, fork: cut.fork }, cut.limitBlock)
  }

  addDatabase({ tablespaceOid, databaseOid }: DatabaseLocator): void {
    this.#databases.set(`${tablespaceOid}/${databaseOid}`, { tablespaceOid, databaseOid })
  }

  /** Adds what the WAL that follows changes to one fork. */
  addEntry({ limitBlock, runs, ...place }: ForkEntry): void {
    if (limitBlock !== undefined) this.#cutFork(place, limitBlock)
    for (const run of runs) this.#blocks(place).addRun(run)
  }

  /** Adds the changes of the WAL that follows. `next` stays as it is. */
  addAll(next: BlockMap): void {
    for (const database of next.databases) this.addDatabase(database)
    for (const relation of next.#all()) {
      for (const [fork, changes] of relation.forks.entries()) {
        if (changes === undefined) continue
        const place = { ...locator(relation), fork }
        if (changes.limitBlock !== NO_LIMIT) this.#cutFork(place, changes.limitBlock)
        if (changes.blocks !== undefined) this.#blocks(place).addAll(changes.blocks)
      }
    }
  }

  /**
   * Whether a block may be other than it was before the stretch of WAL: it was written, or lies
   * behind a limit. Always in a database that came or went as files. Of a visibility map also when
   * a block changed that it speaks of: WAL clears its bits without naming it. Never asked of the
   * free space map.
   */
  isChanged(place: ForkLocator, block: number): boolean {
    if (this.isWhole(place)) return true
    const changes = this.#find(place)?.forks[place.fork]
    if (changes !== undefined && isIn(changes, block)) return true
    return place.fork === FORK_NUMBERS.vm && this.#isMapChanged(place, block)
  }

  /** Whether nothing of the relation may be taken over: its database came or went as files. */
  isWhole({ tablespaceOid, databaseOid }: RelFileLocator): boolean {
    return this.#databases.has(`${tablespaceOid}/${databaseOid}`)
  }

  /** From which block on nothing is left; undefined when the fork was not cut. */
  limitOf(place: ForkLocator): number | undefined {
    const limit = this.#find(place)?.forks[place.fork]?.limitBlock ?? NO_LIMIT
    return limit === NO_LIMIT ? undefined : limit
  }

  /** What was written of a fork in `range`, ascending; no run touches the next. */
  writtenIn(place: ForkLocator, range: BlockRun): Iterable<BlockRun> {
    return this.#find(place)?.forks[place.fork]?.blocks?.runs(range) ?? []
  }

  /** Everything, ordered by tablespace, database, file number, fork. */
  *entries(): Generator<ForkEntry, void> {
    const relations = [...this.#all()].sort(compare)
    for (const relation of relations) {
      for (const [fork, changes] of relation.forks.entries()) {
        if (changes === undefined) continue
        const { limitBlock: limit, blocks } = changes
        const limitBlock = limit === NO_LIMIT ? undefined : limit
        yield { ...locator(relation), fork, limitBlock, runs: blocks?.runs() ?? [] }
      }
    }
  }

  *#all(): Generator<RelationChanges, void> {
    for (const relations of this.#relations.values()) yield* relations
  }

  #cutFork(place: ForkLocator, limitBlock: number): void {
    if (place.fork < 0 || place.fork > LAST_FORK) return
    const changes = this.#fork(place)
    changes.limitBlock = Math.min(changes.limitBlock, limitBlock)
    changes.blocks?.cut(limitBlock)
  }

  #isMapChanged(place: ForkLocator, mapBlock: number): boolean {
    const main = this.#find(place)?.forks[FORK_NUMBERS.main]
    if (main === undefined) return false
    const first = mapBlock * BLOCKS_PER_MAP_PAGE
    if (main.limitBlock < first + BLOCKS_PER_MAP_PAGE) return true
    return main.blocks?.hasAny({ from: first, to: first + BLOCKS_PER_MAP_PAGE }) === true
  }

  #fork(place: ForkLocator): ForkChanges {
    const { forks } = this.#relation(place)
    const known = forks[place.fork]
    if (known !== undefined) return known
    this.#forkCount += 1
    return (forks[place.fork] = { limitBlock: NO_LIMIT, blocks: undefined })
  }

  #blocks(place: ForkLocator): BlockSet {
    return (this.#fork(place).blocks ??= new BlockSet())
  }

  #relation(place: RelFileLocator): RelationChanges {
    if (this.#last !== undefined && isSame(this.#last, place)) return this.#last
    this.#last = this.#find(place) ?? this.#begin(place)
    return this.#last
  }

  #begin(place: RelFileLocator): RelationChanges {
    const relation = { ...locator(place), forks: [] }
    const same = this.#relations.get(place.fileNumber)
    if (same === undefined) this.#relations.set(place.fileNumber, [relation])
    else same.push(relation)
    return relation
  }

  #find(place: RelFileLocator): RelationChanges | undefined {
    return this.#relations.get(place.fileNumber)?.find((known) => isSame(known, place))
  }
}

function isIn({ limitBlock, blocks }: ForkChanges, block: number): boolean {
  return block >= limitBlock || blocks?.has(block) === true
}

function locator({ tablespaceOid, databaseOid, fileNumber }: RelFileLocator): RelFileLocator {
  return { tablespaceOid, databaseOid, fileNumber }
}

function isSame(one: RelFileLocator, other: RelFileLocator): boolean {
  return (
    one.fileNumber === other.fileNumber &&
    one.databaseOid === other.databaseOid &&
    one.tablespaceOid === other.tablespaceOid
  )
}

function compare(one: RelFileLocator, other: RelFileLocator): number {
  return (
    one.tablespaceOid - other.tablespaceOid ||
    one.databaseOid - other.databaseOid ||
    one.fileNumber - other.fileNumber
  )
}
