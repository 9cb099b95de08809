/** The spool: what it calls durable is on disk under its name, in order, whatever the pieces it is given. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { addBytes, type Lsn, toLsn } from '../../../src/postgres/lsn.ts'
import { segmentOf, segmentStart } from '../../../src/postgres/segment-name.ts'
import { prepareSpare, SpoolFile } from '../../../src/wal/spool-file.ts'
import { spoolFileName } from '../../../src/wal/spool-names.ts'
import { type FinishedSegment, SpoolWriter } from '../../../src/wal/spool-writer.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'

const SEGMENT_BYTES = 1024 * 1024
const START = toLsn(3n * BigInt(SEGMENT_BYTES))

interface Opened extends AsyncDisposable {
  readonly writer: SpoolWriter
  readonly durable: Lsn[]
  readonly finished: FinishedSegment[]
}

async function openSpool(directory: string, lsn: Lsn = START): Promise<Opened> {
  const durable: Lsn[] = []
  const finished: FinishedSegment[] = []
  const writer = await SpoolWriter.open({
    directory,
    segmentBytes: SEGMENT_BYTES,
    clock: systemClock,
    start: { timeline: 1, lsn },
    onDurable: (lsn) => durable.push(lsn),
    onFinished: (segment) => finished.push(segment),
    onFailure: () => undefined,
  })
  return {
    writer,
    durable,
    finished,
    [Symbol.asyncDispose]: async () => writer[Symbol.asyncDispose](),
  }
}

function noise(length: number, seed: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, index) =>
    createHash('sha256').update(`${seed}:${index}`).digest(),
  )
  return Buffer.concat(blocks).subarray(0, length)
}

/** What the spool holds from `from` on, read from the named files. */
function readBack(directory: string, from: Lsn, length: number): Buffer {
  const parts: Buffer[] = []
  for (let at = from; at < addBytes(from, length);) {
    const segment = segmentOf(at, { timeline: 1, segmentBytes: SEGMENT_BYTES })
    const content = readFileSync(join(directory, spoolFileName(segment, SEGMENT_BYTES)))
    const offset = Number(at - segmentStart(segment, SEGMENT_BYTES))
    parts.push(content.subarray(offset))
    at = addBytes(at, SEGMENT_BYTES - offset)
  }
  return Buffer.concat(parts).subarray(0, length)
}

describe('SpoolWriter', () => {
  it('gives back the bytes it was given, however they were cut', async () => {
    const arbitrary = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(arbitrary, async (lengths) => {
        await using folder = temporaryDirectory()
        await using spool = await openSpool(folder.path)
        let at = START
        for (const [index, length] of lengths.entries()) {
          spool.writer.write(at, noise(length, index))
          at = addBytes(at, length)
          if (index % 2 === 0) await spool.writer.drain()
        }
        await spool.writer.drain()
        const all = Buffer.concat(lengths.map((length, index) => noise(length, index)))
        assert.ok(readBack(folder.path, START, all.length).equals(all))
        assert.equal(spool.durable.at(-1), at)
      }),
      { numRuns: 10 },
    )
  })

  it('says durable in ascending order and never more than was written', async () => {
    await using folder = temporaryDirectory()
    await using spool = await openSpool(folder.path)
    let at = START
    for (let round = 0; round < 200; round += 1) {
      spool.writer.write(at, noise(8000, round))
      at = addBytes(at, 8000)
      if (round % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
      assert.ok(spool.writer.durableLsn <= at)
    }
    await spool.writer.drain()
    assert.deepEqual(
      spool.durable,
      spool.durable.toSorted((a, b) => Number(a - b)),
    )
    assert.ok(spool.durable.length < 200, 'records that came meanwhile share a sync')
  })

  it('hands over finished segments in order, whole', async () => {
    await using folder = temporaryDirectory()
    await using spool = await openSpool(folder.path)
    const all = noise(3 * SEGMENT_BYTES + 100, 1)
    spool.writer.write(START, all)
    await spool.writer.drain()
    await until('three finished segments', () => spool.finished.length === 3)
    for (const [index, { path, segment }] of spool.finished.entries()) {
      assert.equal(segment.number, BigInt(3 + index))
      const expected = all.subarray(index * SEGMENT_BYTES, (index + 1) * SEGMENT_BYTES)
      assert.ok(readFileSync(path).equals(expected))
    }
  })

  it('names a file only after everything before it is durable', async () => {
    await using folder = temporaryDirectory()
    await using spool = await openSpool(folder.path)
    spool.writer.write(START, noise(SEGMENT_BYTES + 100, 1))
    const second = { timeline: 1, number: 4n }
    assert.ok(!existsSync(join(folder.path, spoolFileName(second, SEGMENT_BYTES))))
    await spool.writer.drain()
    assert.ok(existsSync(join(folder.path, spoolFileName(second, SEGMENT_BYTES))))
  })

  it('goes on in the middle of a segment that is in the spool', async () => {
    await using folder = temporaryDirectory()
    const all = noise(5000, 1)
    {
      await using spool = await openSpool(folder.path)
      spool.writer.write(START, all.subarray(0, 3000))
      await spool.writer.drain()
    }
    await using spool = await openSpool(folder.path, addBytes(START, 3000))
    spool.writer.write(addBytes(START, 3000), all.subarray(3000))
    await spool.writer.drain()
    assert.ok(readBack(folder.path, START, 5000).equals(all))
  })

  it('refuses bytes for another position', async () => {
    await using folder = temporaryDirectory()
    await using spool = await openSpool(folder.path)
    assert.throws(
      () => spool.writer.write(addBytes(START, 8), noise(8, 1)),
      (error) => isBackstayError(error, 'POSTGRES_PROTOCOL'),
    )
  })

  it('takes the zeroed spare file for the next segment', async () => {
    await using folder = temporaryDirectory()
    const place = { directory: folder.path, segmentBytes: SEGMENT_BYTES }
    await prepareSpare(place)
    const file = SpoolFile.create(place, { timeline: 1, number: 3n }, true)
    file.write(START, noise(100, 1))
    await file.publish()
    await file.close()
    const content = readFileSync(file.path)
    assert.equal(content.length, SEGMENT_BYTES)
    assert.ok(content.subarray(100).every((byte) => byte === 0))
    assert.deepEqual(readdirSync(folder.path), [spoolFileName(file.segment, SEGMENT_BYTES)])
  })
})
