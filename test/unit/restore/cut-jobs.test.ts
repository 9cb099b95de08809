import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Extent, ManifestFile } from '../../../src/repository/manifest-entry.ts'
import { checksOf, cutFile, lengthOf } from '../../../src/restore/cut-worker-jobs.ts'

const UNIT = { pack: 'p', offset: 0, storedBytes: 10, rawBytes: 1000 }
const STRETCH_BYTES = 1000

const extents = fc.array(
  fc.oneof(
    fc.record({
      unit: fc.constant(UNIT),
      unitOffset: fc.nat({ max: 500 }),
      length: fc.integer({ min: 1, max: 500 }),
    }),
    fc.record({
      unit: fc.constant(undefined),
      unitOffset: fc.constant(0),
      length: fc.integer({ min: 1, max: 5000 }),
    }),
  ),
)

function fileOf(list: readonly Extent[]): ManifestFile {
  const sizeBytes = list.reduce((sum, { length }) => sum + length, 0)
  return {
    kind: 'file',
    path: 'base/1/2',
    mode: 0o600,
    modifiedAtMs: 0,
    sizeBytes,
    crc32c: 7,
    extents: list,
  }
}

test('stretches of a file follow each other without holes, none larger than allowed', () => {
  fc.assert(
    fc.property(extents, fc.boolean(), (list, isDelta) => {
      const file = fileOf(list)
      const jobs = cutFile(file, '/x', { isDelta, stretchBytes: STRETCH_BYTES })
      let position = 0
      for (const job of jobs) {
        assert.equal(job.position, position)
        assert.ok(lengthOf(job) <= STRETCH_BYTES)
        position += lengthOf(job)
      }
      assert.equal(position, file.sizeBytes)
      const isWhole = jobs.length === 1
      const how = isDelta ? 'correct' : isWhole ? 'create' : 'fill'
      assert.ok(jobs.every((job) => job.how === how))
      assert.ok(jobs.every((job) => job.expectedCrc32c === (isWhole ? 7 : undefined)))
      const pieces = jobs.flatMap((job) => job.extents.filter(({ unit }) => unit !== undefined))
      assert.deepEqual(
        pieces,
        list.filter(({ unit }) => unit !== undefined),
      )
      assert.deepEqual(
        checksOf(jobs).map((check) => check.length),
        jobs.map(lengthOf),
      )
    }),
  )
})

test('an empty file is one job', () => {
  const [job, ...more] = cutFile(fileOf([]), '/x', { isDelta: false })
  assert.deepEqual([job?.how, job?.extents, more], ['create', [], []])
})
