/** Where the spool ends, with real WAL: never after something that is not there, never before what is whole. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { Lsn } from '../../../src/postgres/lsn.ts'
import { parseSegmentName, type Segment, segmentStart } from '../../../src/postgres/segment-name.ts'
import { inspectSpool, recoverSpool, spoolEnds } from '../../../src/wal/recover-spool.ts'
import { spoolFileName } from '../../../src/wal/spool-names.ts'
import { findWalEnd } from '../../../src/wal/wal-end.ts'
import { startPostgres } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { LOAD, switchWal } from './support.ts'

const SEGMENT_BYTES = 1024 * 1024

interface Sample {
  readonly segment: Segment
  readonly content: Buffer
  readonly previous: Buffer
}

/** Two whole neighbours of a busy server: records cross the boundary. */
async function takeSample(): Promise<Sample> {
  await using pg = await startPostgres({ major: 18, initdbArguments: ['--wal-segsize=1'] })
  await pg.query(LOAD)
  const last = await switchWal(pg)
  const parsed = parseSegmentName(last, SEGMENT_BYTES) as Segment
  const read = (back: number): Buffer => {
    const name = `${last.slice(0, 8)}00000000${(Number(parsed.number) - back).toString(16).toUpperCase().padStart(8, '0')}`
    return readFileSync(join(pg.directory, 'pg_wal', name))
  }
  const segment = { ...parsed, number: parsed.number - 2n }
  return { segment, content: read(2), previous: read(3) }
}

describe('the end of the spool', () => {
  let sample: Sample
  before(async () => {
    sample = await takeSample()
  })
  const start = (): Lsn => segmentStart(sample.segment, SEGMENT_BYTES)
  const endOf = (content: Buffer): Lsn => {
    const { segment, previous } = sample
    return findWalEnd({ segment, segmentBytes: SEGMENT_BYTES, content, before: previous }).endLsn
  }

  it('lies before whatever was cut off, and grows with what is there', () => {
    let last = { cut: 0, end: start() }
    const cuts = fc.sample(fc.integer({ min: 0, max: SEGMENT_BYTES }), 40).toSorted((a, b) => a - b)
    for (const cut of cuts) {
      const content = Buffer.alloc(SEGMENT_BYTES)
      sample.content.copy(content, 0, 0, cut)
      const end = endOf(content)
      assert.ok(end <= start() + BigInt(cut) + 7n, `${end} with ${cut} bytes`)
      assert.ok(end >= last.end)
      last = { cut, end }
    }
  })

  it('lies before a bit that is wrong', () => {
    fc.assert(
      fc.property(fc.integer({ min: 40, max: SEGMENT_BYTES - 10_000 }), (at) => {
        const content = Buffer.from(sample.content)
        content.writeUInt8(content.readUInt8(at) ^ 0x10, at)
        const end = endOf(content)
        // Alignment bytes between records are covered by no checksum and mean nothing.
        const isPadding = sample.content.readUInt8(at) === 0 && end > start() + BigInt(at)
        assert.ok(isPadding || end <= start() + BigInt(at), `flipped ${at}, end ${end - start()}`)
      }),
      { numRuns: 60 },
    )
  })

  it('lies before old WAL of a recycled file', () => {
    const content = Buffer.from(sample.previous)
    sample.content.copy(content, 0, 0, 300_000)
    assert.ok(endOf(content) <= start() + 300_000n)
  })

  it('is the same after recovery, which changes no byte of what is there', async () => {
    await using folder = temporaryDirectory()
    const { segment, previous, content } = sample
    const place = { directory: join(folder.path, 'spool'), segmentBytes: SEGMENT_BYTES }
    mkdirSync(place.directory)
    const pathOf = (one: Segment): string =>
      join(place.directory, spoolFileName(one, SEGMENT_BYTES))
    writeFileSync(pathOf({ ...segment, number: segment.number - 1n }), previous)
    writeFileSync(pathOf(segment), content.subarray(0, 700_000))
    writeFileSync(join(place.directory, '.spare'), 'torn')
    const none = async (): Promise<undefined> => undefined
    const seen = await inspectSpool(place, none)
    const recovered = await recoverSpool(place, none)
    assert.deepEqual(recovered, seen)
    assert.equal(recovered.finished.length, 1)
    const end = spoolEnds(recovered, SEGMENT_BYTES).get(1) as Lsn
    assert.ok(end > start() && end <= start() + 700_000n)
    const after = readFileSync(pathOf(segment))
    assert.equal(after.length, SEGMENT_BYTES)
    assert.ok(after.subarray(0, 700_000).equals(content.subarray(0, 700_000)))
    assert.deepEqual(await recoverSpool(place, none), seen)
  })
})
