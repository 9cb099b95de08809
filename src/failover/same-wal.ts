/**
 * Whether two places hold the same WAL before a position. A timeline's number and positions do not
 * tell: a primary that was set back to an older state writes other WAL on the same timeline, under
 * the same names. Commits and checkpoints carry their time, so the bytes do.
 */
import { addBytes, bytesBetween, type Lsn, toLsn } from '../postgres/lsn.ts'
import { segmentOf, segmentStart } from '../postgres/segment-name.ts'
import { earlierLsn } from '../wal/wal-position.ts'
import { reachOfWal, segmentNameAt, type Standing, type WalReader } from './wal-reach.ts'
import { isPageOf } from './wal-tail.ts'

const BLOCK_BYTES = 8192

/** `unknown`: they have nothing there that can be compared. */
export type WalMatch = 'same' | 'different' | 'unknown'

/** Where WAL lies, and by which names. */
export interface NamedWal {
  readonly reader: Pick<WalReader, 'readSegment'>
  readonly standing: Omit<Standing, 'lsn'>
}

/** Compares up to `lsn`, in its segment and the one before. @throws what reading throws. */
export async function compareWal(one: NamedWal, other: NamedWal, lsn: Lsn): Promise<WalMatch> {
  if (lsn === 0n) return 'unknown'
  const { number } = segmentOf(toLsn(lsn - 1n), one.standing)
  const before = number === 0n ? [] : [number - 1n]
  let match: WalMatch = 'unknown'
  for (const each of [number, ...before]) {
    const there = await compareSegment(one, other, { number: each, lsn })
    if (there === 'different') return there
    if (there === 'same') match = there
  }
  return match
}

/** Where a server's WAL ends, and the primary's. */
interface Ends {
  readonly lsn: Lsn
  readonly flushLsn: Lsn
}

/**
 * Whether a server's WAL is the primary's, and that goes on behind it. A standby that received from
 * one that was set back has the other's bytes up to there, and behind them its own: the two do not
 * join.
 */
export async function matchWal(
  mine: NamedWal,
  theirs: NamedWal & { readonly reader: WalReader },
  { lsn, flushLsn }: Ends,
): Promise<WalMatch> {
  const match = await compareWal(mine, theirs, lsn)
  if (match !== 'same' || flushLsn <= lsn) return match
  const { standing, reader } = theirs
  const { segmentBytes } = standing
  const { number } = segmentOf(toLsn(lsn - 1n), standing)
  const startLsn = segmentStart({ ...standing, number }, segmentBytes)
  if ((await reader.readSegment(segmentNameAt({ ...standing, lsn }, number))) === undefined) {
    return match
  }
  const throughLsn = earlierLsn(flushLsn, addBytes(startLsn, 2 * segmentBytes))
  const reach = await reachOfWal(reader, { ...standing, lsn: startLsn }, throughLsn)
  const isBroken = reach?.doubt !== undefined && reach.endLsn <= lsn
  return isBroken ? 'different' : match
}

async function compareSegment(
  one: NamedWal,
  other: NamedWal,
  { number, lsn }: { readonly number: bigint; readonly lsn: Lsn },
): Promise<WalMatch> {
  const [mine, theirs] = await Promise.all(
    [one, other].map(async ({ reader, standing }) =>
      reader.readSegment(segmentNameAt({ ...standing, lsn }, number)),
    ),
  )
  if (mine === undefined || theirs === undefined) return 'unknown'
  const startLsn = segmentStart({ ...one.standing, number }, one.standing.segmentBytes)
  const bytes = Math.min(mine.length, theirs.length, bytesBetween(startLsn, lsn))
  return comparePages(mine.subarray(0, bytes), theirs.subarray(0, bytes), startLsn)
}

/** A page that does not say that it stands there was never written in that place. */
function comparePages(mine: Buffer, theirs: Buffer, startLsn: Lsn): WalMatch {
  let match: WalMatch = 'unknown'
  for (let at = 0; at < mine.length; at += BLOCK_BYTES) {
    const pageLsn = addBytes(startLsn, at)
    const pages = [mine, theirs].map((content) => content.subarray(at, at + BLOCK_BYTES))
    if (!pages.every((page) => isPageOf(page, pageLsn))) continue
    if (pages[0]?.equals(pages[1] as Buffer) !== true) return 'different'
    match = 'same'
  }
  return match
}
