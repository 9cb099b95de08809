/**
 * Proves that WAL coming from a server continues the WAL held here: the first record received must
 * point back to the last record held. A primary that was restored to an older state and has moved
 * past our position since then is found out by nothing else. Where a segment begins with the rest
 * of a record, that record's CRC proves it. Looks at the beginning of a stream only.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn, toLsn } from '../postgres/lsn.ts'
import {
  DEFAULT_WAL_BLOCK_BYTES,
  FIRST_IS_CONTRECORD,
  LONG_HEADER_BYTES,
  SHORT_HEADER_BYTES,
} from '../postgres/wal-page.ts'
import type { WalScanner } from '../postgres/wal-scanner.ts'
import { describePosition, type WalPosition } from './wal-position.ts'

/** Length, xid and back link of a record: what has to be seen of the first one. */
const SEEN_BYTES = 16
const BACK_LINK_OFFSET = 8
const INFO_OFFSET = 2
const BLOCK_BYTES = BigInt(DEFAULT_WAL_BLOCK_BYTES)

/** What has to be joined. */
export interface Joint {
  /** Where the stream begins: a record boundary, or the start of a segment. */
  readonly start: WalPosition
  /** Start of the last record held, when the stream begins inside a segment. */
  readonly lastRecordLsn?: Lsn | undefined
  /**
   * At a segment's start: makes a scanner that has read the end of the segment held before it.
   * Without both everything is let through.
   */
  readonly after?: (() => WalScanner | undefined) | undefined
  readonly segmentBytes: number
}

/** Looks at the beginning of one stream. */
export class JoinCheck {
  readonly #joint: Joint
  #head = Buffer.alloc(0)
  #isJoined: boolean

  constructor(joint: Joint) {
    this.#joint = joint
    this.#isJoined = joint.lastRecordLsn === undefined && joint.after === undefined
  }

  /** Whether nothing received has to be held back any more. */
  get isJoined(): boolean {
    return this.#isJoined
  }

  /**
   * Looks at the next bytes of the stream before they are written anywhere.
   * @throws {BackstayError} POSTGRES_IDENTITY when they continue other WAL than ours.
   */
  push(bytes: Uint8Array): void {
    if (this.#isJoined) return
    const { start, segmentBytes, lastRecordLsn, after } = this.#joint
    if (after !== undefined) return this.#goOn(after, bytes)
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, 2 * DEFAULT_WAL_BLOCK_BYTES)])
    const link = readBackLink(this.#head, start.lsn, segmentBytes)
    if (link === 'incomplete') return
    this.#isJoined = true
    this.#head = Buffer.alloc(0)
    if (link === 'unknown' || link === lastRecordLsn) return
    throw foreign(
      start,
      `the server's next record follows ${formatLsn(link)}, the last one held is at ${formatLsn(lastRecordLsn as Lsn)}`,
    )
  }

  /**
   * Until the first record that ends in the stream: the rest of one that is held by its beginning,
   * or the one after the last held. Scanned anew each time, as a piece may end anywhere and commits
   * may wait for just this one.
   */
  #goOn(after: () => WalScanner | undefined, bytes: Uint8Array): void {
    this.#head = Buffer.concat([this.#head, bytes])
    const scanner = after()
    this.#isJoined = scanner === undefined
    if (scanner !== undefined) for (const _record of scanner.push(this.#head)) this.#isJoined = true
    if (this.#isJoined) this.#head = Buffer.alloc(0)
    else if (scanner?.stop?.kind === 'invalid') {
      throw foreign(
        this.#joint.start,
        `what the server sends does not follow: ${scanner.stop.problem}`,
      )
    }
  }
}

function foreign(start: WalPosition, what: string): BackstayError {
  return new BackstayError(
    'POSTGRES_IDENTITY',
    `Cannot continue WAL at ${describePosition(start)}: ${what}`,
    {
      hint: 'The server was restored to an older state or is another one. Nothing was overwritten. If it is right, take a new timeline (promote a restored copy) or a new repository.',
    },
  )
}

/**
 * The back link of the first record in `bytes`; `unknown` when a page begins with the rest of an
 * older record.
 */
function readBackLink(
  bytes: Buffer,
  startLsn: Lsn,
  segmentBytes: number,
): Lsn | 'incomplete' | 'unknown' {
  const seen = Buffer.alloc(SEEN_BYTES)
  let at = 0
  for (let filled = 0; filled < SEEN_BYTES;) {
    const lsn = startLsn + BigInt(at)
    if (lsn % BLOCK_BYTES === 0n) {
      if (at + INFO_OFFSET + 2 > bytes.length) return 'incomplete'
      const continues = (bytes.readUInt16LE(at + INFO_OFFSET) & FIRST_IS_CONTRECORD) !== 0
      if (continues && filled === 0) return 'unknown'
      at += lsn % BigInt(segmentBytes) === 0n ? LONG_HEADER_BYTES : SHORT_HEADER_BYTES
    }
    if (at >= bytes.length) return 'incomplete'
    const room = Number(BLOCK_BYTES - ((startLsn + BigInt(at)) % BLOCK_BYTES))
    const piece = bytes.subarray(at, at + Math.min(room, SEEN_BYTES - filled))
    filled += piece.copy(seen, filled)
    at += piece.length
  }
  return toLsn(seen.readBigUInt64LE(BACK_LINK_OFFSET))
}
