/**
 * Fetches segments ahead of a recovery: keeps the next ones waiting in the prefetch folder, and
 * goes away when nobody takes them any more. It only ever brings finished segments, which never
 * change.
 */
import { formatSegmentName, type Segment } from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import {
  addPrefetched,
  announcePrefetch,
  ownerOf,
  ownFolder,
  type PrefetchPlace,
  removeFolder,
  waitingSegments,
  withdrawPrefetch,
} from './prefetch-folder.ts'

/** Segments that wait at most, and bytes. */
export const DEFAULT_AHEAD = 16
const WAITING_BYTES_MAX = 512 * 1024 * 1024
/** Segments fetched at a time. */
const LANES = 3
const POLL_MS = 20
const IDLE_TIMEOUT_MS = 60_000

/** What to prefetch, and where to. */
export interface PrefetchOptions {
  readonly repository: ClusterRepository
  readonly directory: string
  readonly from: Segment
  /** Who is at work: `fillerToken` of this process. */
  readonly token: string
  /** Segments that may wait. */
  readonly ahead: number
  /** Ends when nothing was taken for so long. Default 60 s. */
  readonly idleTimeoutMs?: number
}

/**
 * Keeps the folder filled until the end of WAL was taken, nobody takes any more, another filler
 * came, or the signal aborts.
 */
export async function prefetchSegments(
  options: PrefetchOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock, identity } = options.repository
  const { segmentBytes } = identity
  const place: PrefetchPlace = { directory: options.directory, segmentBytes, clock }
  const { token } = options
  await ownFolder(place, { token, next: options.from })
  const filler = new Filler(options, place)
  let lastChangeAt = clock.monotonic()
  for (let before = ''; !signal.aborted;) {
    // Asked before the folder is read: what arrives in between is counted twice, never not at all,
    // and not thrown away at the end.
    const { coming, isExhausted } = filler
    const waiting = await waitingSegments(place)
    if (waiting === undefined || (await ownerOf(place))?.token !== token) return
    const now = waiting.join(' ')
    if (now !== before) lastChangeAt = clock.monotonic()
    before = now
    if (isExhausted && waiting.length === 0) break
    if (clock.monotonic() - lastChangeAt > (options.idleTimeoutMs ?? IDLE_TIMEOUT_MS)) break
    if (filler.fill(waiting.length + coming)) await ownFolder(place, { token, next: filler.next })
    await Promise.race([filler.oneDone(), clock.sleep(POLL_MS, signal).catch(() => undefined)])
  }
  await filler.settled()
  await removeFolder(place)
}

class Filler {
  readonly #options: PrefetchOptions
  readonly #place: PrefetchPlace
  readonly #limit: number
  readonly #running = new Set<Promise<void>>()
  #next: Segment
  #isExhausted = false

  constructor(options: PrefetchOptions, place: PrefetchPlace) {
    const { segmentBytes } = options.repository.identity
    this.#options = options
    this.#place = place
    this.#limit = Math.max(1, Math.min(options.ahead, Math.floor(WAITING_BYTES_MAX / segmentBytes)))
    this.#next = options.from
  }

  /** Whether a segment was not there, and everything before it has been fetched. */
  get isExhausted(): boolean {
    return this.#isExhausted && this.#running.size === 0
  }

  /** Segments that are being fetched. */
  get coming(): number {
    return this.#running.size
  }

  /** What will be fetched next; undefined at the end of WAL. */
  get next(): Segment | undefined {
    return this.#isExhausted ? undefined : this.#next
  }

  /**
   * Starts as many fetches as there is room for beside `taken` places. Returns whether it started
   * any.
   */
  fill(taken: number): boolean {
    const first = this.#next
    for (let used = taken; used < this.#limit; used += 1) {
      if (this.#isExhausted || this.#running.size >= LANES) break
      const fetch = this.#fetch(this.#next).finally(() => this.#running.delete(fetch))
      this.#running.add(fetch)
      this.#next = { ...this.#next, number: this.#next.number + 1n }
    }
    return this.#next !== first
  }

  /** Resolves when the next fetch ends; never while none runs. */
  async oneDone(): Promise<void> {
    await Promise.race(this.#running)
  }

  async settled(): Promise<void> {
    await Promise.all(this.#running)
  }

  /** Failures are not told here: recovery will ask for the segment itself and be told then. */
  async #fetch(segment: Segment): Promise<void> {
    const { wal, identity } = this.#options.repository
    const name = formatSegmentName(segment, identity.segmentBytes)
    try {
      await announcePrefetch(this.#place, name)
      const content = await wal.getSegment(name)
      if (content !== undefined) return await addPrefetched(this.#place, name, content)
    } catch {
      // As above.
    }
    this.#isExhausted = true
    await withdrawPrefetch(this.#place, name).catch(() => undefined)
  }
}
