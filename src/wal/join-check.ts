/**
 * Proves that WAL coming from a server continues the WAL held here: the first record received must point back to the
 * last record held. A primary that was restored to an older state and has moved past our position since then is found out by
 * nothing else. Pure; looks at the first few bytes of a stream only.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn, toLsn } from '../postgres/lsn.ts'
import {
  DEFAULT_WAL_BLOCK_BYTES,
  FIRST_IS_CONTRECORD,
  LONG_HEADER_BYTES,
  SHORT_HEADER_BYTES,
} from '../postgres/wal-page.ts'
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
  /** Start of the last record held; undefined when it is not known, and then everything is let through. */
  readonly lastRecordLsn: Lsn | undefined
  readonly segmentBytes: number
}

/** Looks at the beginning of one stream. */
export class JoinCheck {
  readonly #joint: Joint
  #head = Buffer.alloc(0)
  #isJoined: boolean

  constructor(joint: Joint) {
    this.#joint = joint
    this.#isJoined = joint.lastRecordLsn === undefined
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
    const { start, segmentBytes, lastRecordLsn } = this.#joint
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, 2 * DEFAULT_WAL_BLOCK_BYTES)])
    const link = readBackLink(this.#head, start.lsn, segmentBytes)
    if (link === 'incomplete') return
    this.#isJoined = true
    this.#head = Buffer.alloc(0)
    if (link === 'unknown' || link === lastRecordLsn) return
    throw new BackstayError(
      'POSTGRES_IDENTITY',
      `Cannot continue WAL at ${describePosition(start)}: the server's next record follows ${formatLsn(link)}, the last one held is at ${formatLsn(lastRecordLsn as Lsn)}`,
      {
        hint: 'The server was restored to an older state or is another one. Nothing was overwritten. If it is right, take a new timeline (promote a restored copy) or a new repository.',
      },
    )
  }
}

/** The back link of the first record in `bytes`; `unknown` when a page begins with the rest of an older record. */
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
