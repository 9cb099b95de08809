import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Fresh, overlayExtents } from '../../../../src/backup/take/overlay.ts'
import type { Extent, Unit } from '../../../../src/repository/manifest-entry.ts'

const PAGE = 8192

const unitOf = (pack: string): Unit => ({ pack, offset: 0, storedBytes: 1, rawBytes: 2 ** 30 })
const OLD = [unitOf('old-1'), unitOf('old-2'), unitOf('old-3')]
const NEW = unitOf('new')

/** What each page of a file is made of: `unit:page in it`, or `0`. */
function pagesOf(extents: readonly Extent[]): string[] {
  return extents.flatMap(({ unit, unitOffset, length }) =>
    Array.from({ length: length / PAGE }, (_, n) =>
      unit === undefined ? '0' : `${unit.pack}:${unitOffset / PAGE + n}`,
    ),
  )
}

/** An old file of `pages` pages whose stretches lie in several units. */
const oldFile = fc
  .array(fc.tuple(fc.nat(3), fc.nat(20), fc.integer({ min: 1, max: 5 })), { maxLength: 8 })
  .map((stretches) =>
    stretches.map(([unit, page, pages]): Extent => {
      const chosen = OLD[unit]
      return {
        unit: chosen,
        unitOffset: chosen === undefined ? 0 : page * PAGE,
        length: pages * PAGE,
      }
    }),
  )

describe('overlayExtents', () => {
  it('takes fresh pages where there are some, the reference up to its limit, zeros elsewhere', () => {
    fc.assert(
      fc.property(
        oldFile,
        fc.nat(40),
        fc.nat(40),
        fc.uniqueArray(fc.nat(39)),
        (reference, size, limit, picks) => {
          const blocks = picks.filter((block) => block < size).sort((a, b) => a - b)
          const fresh = blocks.map((block, n): Fresh => ({
            fileOffset: block * PAGE,
            extent: { unit: NEW, unitOffset: n * PAGE, length: PAGE },
          }))
          const extents = overlayExtents({
            sizeBytes: size * PAGE,
            fresh,
            reference,
            referenceEnd: limit * PAGE,
          })
          const old = pagesOf(reference)
          const expected = Array.from({ length: size }, (_, block) => {
            const at = blocks.indexOf(block)
            if (at >= 0) return `new:${at}`
            return block < limit ? (old[block] ?? '0') : '0'
          })
          assert.deepEqual(pagesOf(extents), expected)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('joins neighbours that continue each other', () => {
    const fresh = [0, 1, 2].map((block): Fresh => ({
      fileOffset: block * PAGE,
      extent: { unit: NEW, unitOffset: block * PAGE, length: PAGE },
    }))
    const whole = { sizeBytes: 3 * PAGE, fresh, reference: [], referenceEnd: 0 }
    assert.deepEqual(overlayExtents(whole), [{ unit: NEW, unitOffset: 0, length: 3 * PAGE }])
  })

  it('gives no extents for an empty file', () => {
    const reference = [{ unit: NEW, unitOffset: 0, length: PAGE }]
    assert.deepEqual(overlayExtents({ sizeBytes: 0, fresh: [], reference, referenceEnd: PAGE }), [])
  })
})
