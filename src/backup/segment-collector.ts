/**
 * Puts a stream of WAL together to segments.
 */
import { type Lsn, toLsn } from '../postgres/lsn.ts'
import { formatSegmentName, segmentOf } from '../postgres/segment-name.ts'

/** A segment as far as it has come in. The content is reused for the next segment. */
export interface CollectedSegment {
  readonly name: string
  readonly content: Buffer
}

/** Collects the segments of one timeline from a segment's first byte on. */
export class SegmentCollector {
  readonly #timeline: number
  readonly #segmentBytes: number
  readonly #content: Buffer
  #position: Lsn

  /** `startLsn`: a segment's first byte. */
  constructor(start: { timeline: number; startLsn: Lsn }, segmentBytes: number) {
    this.#timeline = start.timeline
    this.#segmentBytes = segmentBytes
    this.#position = start.startLsn
    this.#content = Buffer.alloc(segmentBytes)
  }

  /** After the last byte that came in. */
  get position(): Lsn {
    return this.#position
  }

  /** Takes bytes that continue those before; calls `full` for each segment that is complete. */
  async push(bytes: Uint8Array, full: (segment: CollectedSegment) => Promise<void>): Promise<void> {
    let rest = bytes
    while (rest.byteLength > 0) {
      const at = Number(this.#position % BigInt(this.#segmentBytes))
      const part = rest.subarray(0, this.#segmentBytes - at)
      const name = this.#nameOf(this.#position)
      this.#content.set(part, at)
      this.#position = toLsn(this.#position + BigInt(part.byteLength))
      rest = rest.subarray(part.byteLength)
      if (at + part.byteLength < this.#segmentBytes) continue
      await full({ name, content: this.#content })
      this.#content.fill(0)
    }
  }

  /**
   * The segment that is not complete, zeros behind its last byte; undefined when none has begun.
   */
  unfinished(): CollectedSegment | undefined {
    if (this.#position % BigInt(this.#segmentBytes) === 0n) return undefined
    return { name: this.#nameOf(this.#position), content: this.#content }
  }

  #nameOf(lsn: Lsn): string {
    const place = { timeline: this.#timeline, segmentBytes: this.#segmentBytes }
    return formatSegmentName(segmentOf(lsn, place), this.#segmentBytes)
  }
}
