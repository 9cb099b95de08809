/**
 * Whether the WAL that is held is the server's: a server that was set back to an older state writes
 * other WAL under the same names. Bytes are compared where both have them; where the server has
 * only what comes after, its records must follow those held
 * (docs/adr/0034-held-wal-vouches-when-it-is-the-servers.md).
 */
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import { addBytes, bytesBetween, formatLsn, type Lsn, toLsn } from '../../postgres/lsn.ts'
import { formatSegmentName, segmentOf } from '../../postgres/segment-name.ts'
import { WalScanner } from '../../postgres/wal-scanner.ts'
import { bytesBeforeZeros } from '../../util/zero-tail.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { storedEnds } from '../../wal/held-wal.ts'
import { earlierLsn, segmentFloor, type WalRange } from '../../wal/wal-position.ts'
import { readServerWal, type ServerWalOptions } from '../server-wal.ts'
import type { BackedUpServer } from './backed-up-server.ts'

/** Compared where the held WAL ends, at most: segments may have 1 GiB. */
const COMPARED_BYTES = 16 * 1024 * 1024

/** Compared at the beginning of what vouches: the checkpoint of the reference is in it. */
const HEAD_BYTES = 1024 * 1024

/** Which server's WAL is compared with which held WAL, and on what a backup would rest. */
export interface HistoryQuestion extends ServerWalOptions {
  readonly cluster: ClusterRepository
  readonly server: BackedUpServer
  /**
   * WAL that vouches for a reference: its beginning is compared, and each range's end. Empty when
   * nothing rests on it.
   */
  readonly vouching: readonly WalRange[]
}

interface OpenQuestion extends HistoryQuestion {
  readonly held: HeldSegments
}

/**
 * Whether it was shown that the held WAL is the server's; false when neither has anything to
 * compare with the other.
 * @throws {BackstayError} POSTGRES_IDENTITY when it is not.
 */
export async function isSameHistory(asked: HistoryQuestion): Promise<boolean> {
  const question = { ...asked, held: new HeldSegments(asked) }
  const { server, vouching } = question
  const [first] = vouching
  if (first !== undefined) await compare(question, headOf(first, HEAD_BYTES))
  let isShown = false
  for (const range of vouching) {
    if (range.timeline === server.timeline) continue
    isShown = await compare(question, lastSegmentOf(range, server.segmentBytes))
  }
  return (await compareAtEnd(question)) || isShown
}

/**
 * Where what is held of the server's timeline ends, or the server's last finished segment when more
 * is held.
 */
async function compareAtEnd(question: OpenQuestion): Promise<boolean> {
  const { server, cluster } = question
  const { timeline, flushLsn, segmentBytes } = server
  const heldEnd = (await storedEnds(cluster)).get(timeline) ?? toLsn(0n)
  const begun = bornAt(server)
  const end = earlierLsn(heldEnd, segmentFloor(flushLsn, segmentBytes))
  const held = { timeline, startLsn: begun, endLsn: end }
  const isCompared = await compare(question, lastSegmentOf(held, segmentBytes))
  const startLsn = end > begun ? end : begun
  const present = headOf({ timeline, startLsn, endLsn: flushLsn }, COMPARED_BYTES)
  // Where nothing is held there is nothing more to be learned.
  if (isCompared && (await question.held.at({ timeline, lsn: startLsn })) === undefined) {
    return true
  }
  const content = await readServerWal(present, question)
  if (content === undefined) return isCompared
  const isHeld = await compareContent(question, present, content)
  if (isCompared || isHeld || end <= begun) return isCompared || isHeld
  return await joins(question, { timeline, lsn: end }, content)
}

/**
 * Compares a stretch that is held with what the server has there; false when one of them has
 * nothing of it.
 */
async function compare(question: OpenQuestion, range: WalRange): Promise<boolean> {
  if (range.startLsn >= range.endLsn) return false
  const content = await readServerWal(range, question)
  return content !== undefined && (await compareContent(question, range, content))
}

async function compareContent(
  question: OpenQuestion,
  range: WalRange,
  content: Buffer,
): Promise<boolean> {
  const { segmentBytes } = question.server
  let isCompared = false
  for (let lsn = range.startLsn; lsn < range.endLsn;) {
    const start = segmentFloor(lsn, segmentBytes)
    const end = earlierLsn(addBytes(start, segmentBytes), range.endLsn)
    const held = await question.held.at({ timeline: range.timeline, lsn })
    const from = bytesBetween(start, lsn)
    const ours = held?.subarray(from, bytesBetween(start, end)) ?? Buffer.alloc(0)
    const at = bytesBetween(range.startLsn, lsn)
    const theirs = content.subarray(at, at + ours.length)
    if (!ours.equals(theirs)) throw differs({ timeline: range.timeline, lsn })
    isCompared ||= ours.length > 0
    lsn = end
  }
  return isCompared
}

/**
 * The server's records after `place`, where a segment begins, must follow those of the segment
 * before it, which is held.
 */
async function joins(
  question: OpenQuestion,
  place: { readonly timeline: number; readonly lsn: Lsn },
  content: Buffer,
): Promise<boolean> {
  const { segmentBytes } = question.server
  const startLsn = toLsn(place.lsn - BigInt(segmentBytes))
  const held = await question.held.at({ ...place, lsn: startLsn })
  if (held?.length !== segmentBytes) return false
  const scanner = new WalScanner({ startLsn, segmentBytes })
  for (const part of [held, content]) {
    for (const record of scanner.push(part)) if (record.endLsn > place.lsn) return true
    if (scanner.stop?.kind === 'invalid') throw differs({ ...place, lsn: scanner.endLsn })
  }
  return false
}

/** Segments kept: the last that is held, and what comes after it, are looked at several times. */
const KEPT_SEGMENTS = 2

/** Held WAL, each segment decompressed once. */
class HeldSegments {
  readonly #question: HistoryQuestion
  readonly #kept = new Map<string, Promise<Buffer | undefined>>()

  constructor(question: HistoryQuestion) {
    this.#question = question
  }

  /**
   * What is held of the segment that holds `lsn`: all of it, or a beginning without the zeros after
   * its last byte.
   */
  at(place: { readonly timeline: number; readonly lsn: Lsn }): Promise<Buffer | undefined> {
    const { segmentBytes } = this.#question.server
    const segment = segmentOf(place.lsn, { timeline: place.timeline, segmentBytes })
    const name = formatSegmentName(segment, segmentBytes)
    const known = this.#kept.get(name)
    if (known !== undefined) return known
    const [oldest] = this.#kept.keys()
    if (oldest !== undefined && this.#kept.size >= KEPT_SEGMENTS) this.#kept.delete(oldest)
    const content = this.#read(name)
    this.#kept.set(name, content)
    return content
  }

  async #read(name: string): Promise<Buffer | undefined> {
    const { wal } = this.#question.cluster
    try {
      const whole = await wal.getSegment(name)
      if (whole !== undefined) return whole
      const partial = await wal.getPartial(name)
      return partial?.subarray(0, bytesBeforeZeros(partial))
    } catch (error) {
      // Damaged WAL proves nothing; verification reports it.
      if (isBackstayError(error, 'REPOSITORY_DAMAGED')) return undefined
      throw error
    }
  }
}

function headOf({ timeline, startLsn, endLsn }: WalRange, bytes: number): WalRange {
  return { timeline, startLsn, endLsn: earlierLsn(endLsn, addBytes(startLsn, bytes)) }
}

/** From its beginning, because the end of a segment may be empty. */
function lastSegmentOf({ timeline, startLsn, endLsn }: WalRange, segmentBytes: number): WalRange {
  if (startLsn >= endLsn) return { timeline, startLsn, endLsn }
  const floor = segmentFloor(toLsn(endLsn - 1n), segmentBytes)
  const from = floor > startLsn ? floor : startLsn
  return headOf({ timeline, startLsn: from, endLsn }, COMPARED_BYTES)
}

/** Where the server's timeline begins. */
function bornAt({ history }: BackedUpServer): Lsn {
  return history.switches.at(-1)?.switchLsn ?? toLsn(0n)
}

function differs({ timeline, lsn }: { timeline: number; lsn: Lsn }): BackstayError {
  return new BackstayError(
    'POSTGRES_IDENTITY',
    `Cannot back up: the server's WAL after ${formatLsn(lsn)} on timeline ${timeline} is not the WAL held of it`,
    {
      hint: 'The server was set back to an older state, or is another one. If it is right, let it begin a new timeline (restore a backup and promote it) or use a new repository.',
    },
  )
}
