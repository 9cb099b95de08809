/**
 * Lays the bytes of file after file into units, has workers compress them, and puts them into
 * packs.
 *
 *   openPiece → write … → unit full → worker: page checksums, CRC, zstd → placed in a pack → owner is told
 *             → read (the worker reads it itself) ↗
 *
 * Pages are never cut between two units. At most as many units are under way as there are slots.
 */
import type { PageMemory } from '../postgres/page-checker.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { PAGE_BYTES, UNIT_BYTES } from './format.ts'
import type { Extent, Unit } from './manifest-entry.ts'
import type { PackWriter } from './pack-writer.ts'
import { type SlotPool, slotInput, slotOutput } from './unit-slots.ts'
import type { SlotRead, UnitResult } from './unit-job.ts'
import type { WorkerPool } from './worker-pool.ts'

/** Each holds a descriptor open until its unit is placed, and a process has some hundreds. */
const READS_MAX = 64

/** Told when a piece has come to lie in a pack. Must not throw. */
export interface PieceOwner {
  placed(piece: UnitPiece): void
}

/** What a piece is opened for. */
export interface PieceWish {
  readonly owner: PieceOwner
  /** Where in the file it belongs. */
  readonly fileOffset: number
  /** At most so many bytes; it may get less room. */
  readonly wantedBytes: number
  /**
   * The content is pages; the number of the first one in its relation, whose checksums are judged.
   */
  readonly firstBlock: number | undefined
  /** The content is pages: keep them whole, whether judged or not. */
  readonly paged: boolean
}

/** A stretch of a file inside a unit. */
export interface UnitPiece {
  readonly owner: PieceOwner
  readonly fileOffset: number
  readonly length: number
  /** Its unit's position is valid once the piece is placed. */
  readonly extent: Extent
  /** Valid once placed, as are the next. */
  readonly crc32c: number
  /** Of each page of paged content; undefined for other content. */
  readonly pageCrcs: Uint32Array | undefined
  readonly badBlocks: readonly number[]
}

/** A piece that is being filled. */
interface OpenPiece {
  readonly wish: PieceWish
  readonly unitOffset: number
  readonly capacity: number
  length: number
  crc32c: number
  badBlocks: readonly number[]
}

interface OpenUnit {
  readonly slot: number
  readonly input: Buffer
  readonly pieces: OpenPiece[]
  readonly reads: SlotRead[]
  fill: number
}

interface ReadyUnit {
  readonly unit: OpenUnit
  readonly result: UnitResult
}

/** What a packer works with. */
export interface UnitPackerOptions {
  readonly memory: PageMemory
  readonly slots: SlotPool
  readonly workers: WorkerPool
  readonly packs: PackWriter
  /** See UnitJob.limitLsn. May be set later than the packer is made, before the first piece. */
  readonly limitLsn: () => Lsn
}

/** One call at a time; `placed` callbacks come in between. */
export class UnitPacker {
  readonly #options: UnitPackerOptions
  readonly #ready: ReadyUnit[] = []
  readonly #idle: (() => void)[] = []
  #open: OpenUnit | undefined
  #piece: OpenPiece | undefined
  #underWay = 0
  #placing = false
  #failure: { readonly reason: unknown } | undefined
  #rawBytes = 0

  constructor(options: UnitPackerOptions) {
    this.#options = options
  }

  /** Bytes taken in so far. */
  get rawBytes(): number {
    return this.#rawBytes
  }

  /**
   * Opens a piece, closing the one before. Returns how many bytes `write` may put into it: at least
   * 1, and whole pages for paged content as long as whole pages are wanted. A promise when a slot
   * must be waited for.
   */
  openPiece(wish: PieceWish): number | Promise<number> {
    this.#throwIfFailed()
    const room = this.#open === undefined ? 0 : roomIn(this.#open, wish)
    if (room > 0) return this.#beginPiece(wish, room)
    this.#closeUnit()
    const slot = this.#options.slots.tryTake()
    if (slot !== undefined) return this.#beginUnit(slot, wish)
    return this.#options.slots.take().then((taken) => this.#beginUnit(taken, wish))
  }

  /** Copies into the open piece. `bytes` must fit into what is left of it. */
  write(bytes: Uint8Array): void {
    const { unit, offset } = this.#grow(bytes.byteLength)
    unit.input.set(bytes, offset)
  }

  /**
   * Has a worker read `length` bytes of a file into the open piece, which must have so much room.
   * The descriptor stays open until the piece is placed.
   */
  read(file: Omit<SlotRead, 'offset' | 'length'>, length: number): void {
    const { unit, offset } = this.#grow(length)
    unit.reads.push({ ...file, offset, length })
  }

  /** Sends off what is open and resolves when every piece is placed. */
  async flush(): Promise<void> {
    this.#closeUnit()
    while (this.#underWay > 0 && this.#failure === undefined) {
      await new Promise<void>((resolve) => this.#idle.push(resolve))
    }
    this.#throwIfFailed()
  }

  /** Ends everything: what waits rejects with `reason`. */
  fail(reason: unknown): void {
    this.#failure ??= { reason }
    this.#options.slots.fail(reason)
    this.#options.workers.fail(reason)
    for (const wake of this.#idle.splice(0)) wake()
  }

  /** Lengthens the open piece; says where in its unit the new bytes lie. */
  #grow(length: number): { readonly unit: OpenUnit; readonly offset: number } {
    const unit = this.#open
    const piece = this.#piece
    if (unit === undefined || piece === undefined) throw new RangeError('no piece is open')
    if (piece.length + length > piece.capacity) throw new RangeError('the piece is full')
    const offset = unit.fill
    unit.fill += length
    piece.length += length
    this.#rawBytes += length
    return { unit, offset }
  }

  #beginUnit(slot: number, wish: PieceWish): number {
    const input = slotInput(this.#options.memory, slot)
    this.#open = { slot, input, pieces: [], reads: [], fill: 0 }
    return this.#beginPiece(wish, roomFor(wish, UNIT_BYTES))
  }

  #beginPiece(wish: PieceWish, capacity: number): number {
    const unitOffset = this.#open?.fill ?? 0
    this.#piece = { wish, unitOffset, capacity, length: 0, crc32c: 0, badBlocks: [] }
    this.#open?.pieces.push(this.#piece)
    return capacity
  }

  #closeUnit(): void {
    const unit = this.#open
    if (unit === undefined) return
    this.#open = undefined
    this.#piece = undefined
    this.#underWay += 1
    this.#work(unit).catch((error: unknown) => this.fail(error))
  }

  async #work(unit: OpenUnit): Promise<void> {
    const result = await this.#options.workers.run({
      slot: unit.slot,
      rawBytes: unit.fill,
      reads: unit.reads,
      compress: true,
      pages: unit.pieces.map((piece) => ({
        offset: piece.unitOffset,
        pageCount: piece.wish.firstBlock === undefined ? 0 : Math.floor(piece.length / PAGE_BYTES),
        firstBlock: piece.wish.firstBlock ?? 0,
      })),
      limitLsn: this.#options.limitLsn(),
      crcs: unit.pieces.map(({ unitOffset, length, wish }) => ({
        offset: unitOffset,
        length,
        paged: wish.paged,
      })),
      changedSince: undefined,
    })
    this.#ready.push({ unit, result })
    if (!this.#placing) await this.#placeReady()
  }

  /** Writes whatever is ready in one go, as long as something is; meanwhile more becomes ready. */
  async #placeReady(): Promise<void> {
    this.#placing = true
    while (this.#ready.length > 0) await this.#place(this.#ready.splice(0))
    this.#placing = false
    if (this.#underWay === 0) for (const wake of this.#idle.splice(0)) wake()
  }

  async #place(batch: readonly ReadyUnit[]): Promise<void> {
    const frames = batch.map(({ unit, result }) => ({
      frame: slotOutput(this.#options.memory, unit.slot).subarray(0, result.storedBytes),
      rawBytes: unit.fill,
    }))
    const places = await this.#options.packs.append(frames)
    for (const [index, { unit, result }] of batch.entries()) {
      this.#options.slots.give(unit.slot)
      this.#underWay -= 1
      const place = places[index]
      if (place === undefined) continue
      announce(unit, result, { ...place, storedBytes: result.storedBytes, rawBytes: unit.fill })
    }
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.reason
  }
}

function roomIn({ reads, fill }: OpenUnit, wish: PieceWish): number {
  return reads.length < READS_MAX ? roomFor(wish, UNIT_BYTES - fill) : 0
}

/** Bytes of a piece that fit into `room`. */
function roomFor(wish: PieceWish, room: number): number {
  if (!wish.paged || wish.wantedBytes < PAGE_BYTES) return Math.min(wish.wantedBytes, room)
  // A last, incomplete page of the file becomes a piece of its own.
  return Math.min(wish.wantedBytes, room) - (Math.min(wish.wantedBytes, room) % PAGE_BYTES)
}

function announce(unit: OpenUnit, result: UnitResult, place: Unit): void {
  unit.pieces.forEach((piece, index) => {
    const { owner, fileOffset } = piece.wish
    owner.placed({
      owner,
      fileOffset,
      length: piece.length,
      extent: { unit: place, unitOffset: piece.unitOffset, length: piece.length },
      crc32c: result.crcs[index] ?? 0,
      pageCrcs: result.pageCrcs[index],
      badBlocks: result.badBlocks[index] ?? [],
    })
  })
}
