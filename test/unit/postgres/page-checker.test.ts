import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { buildPageChecksum } from '../../../scripts/build-wasm.ts'
import { toLsn } from '../../../src/postgres/lsn.ts'
import { allocatePageMemory, PageChecker } from '../../../src/postgres/page-checker.ts'
import { readPageHeader } from '../../../src/postgres/page.ts'
import { GOLDENS, unpack } from '../../fixtures/postgres/golden.ts'

const PAGE = 8192
const PAGES = 150

function makeChecker(pages = PAGES, blockBytes = PAGE): PageChecker {
  return new PageChecker(allocatePageMemory(pages * blockBytes), blockBytes)
}

/** Fills pages with content, LSNs `page + 1` and right checksums. */
function fill(checker: PageChecker, pages: number, firstBlock: number): void {
  const view = Buffer.from(checker.bytes.buffer as ArrayBuffer)
  for (let page = 0; page < pages; page += 1) {
    const at = page * checker.blockBytes
    for (let word = 0; word < checker.blockBytes / 4; word += 1) {
      view.writeUInt32LE(Math.imul(word + 1, 2654435761 + page) >>> 0, at + word * 4)
    }
    view.writeUInt32LE(0, at)
    view.writeUInt32LE(page + 1, at + 4)
    view.writeUInt16LE(100, at + 14)
    view.writeUInt16LE(checker.checksum(at, firstBlock + page), at + 8)
  }
}

const bitsOf = (bitmap: Uint8Array, count: number): number[] =>
  Array.from({ length: count }, (_, bit) => bit).filter(
    (bit) => ((bitmap[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0,
  )

suite('page checker', () => {
  for (const golden of GOLDENS) {
    test(`finds the pages of PostgreSQL ${golden.major} good, at their own place only`, () => {
      const checker = makeChecker()
      const pages = unpack(golden.pages)
      checker.bytes.set(pages, 0)
      assert.equal(checker.checksum(0, 0), readPageHeader(pages).checksum)
      assert.deepEqual(checker.findBadPages({ offset: 0, pageCount: 2 }, 0), [])
      assert.deepEqual(checker.findBadPages({ offset: 0, pageCount: 2 }, 1), [1, 2])
    })

    test(`finds flipped bits in a page of PostgreSQL ${golden.major}, all but what 16 bits of checksum must miss`, () => {
      const checker = makeChecker()
      checker.bytes.set(unpack(golden.pages), 0)
      let missed = 0
      // A flip in pd_upper that leaves 0 would make a new page; this page has more than one bit set there.
      for (let bit = 0; bit < PAGE * 8; bit += 1) {
        const at = bit >> 3
        const good = checker.bytes[at] ?? 0
        checker.bytes[at] = good ^ (1 << (bit & 7))
        if (checker.findBadPages({ offset: 0, pageCount: 1 }, 0).join() !== '0') missed += 1
        checker.bytes[at] = good
      }
      // Of 65,536 flips one is expected to give the same checksum by chance.
      assert.ok(missed <= 8, `${missed} flips were not found`)
    })
  }

  test('names exactly the bad pages of a range longer than a mask', () => {
    const checker = makeChecker()
    fill(checker, PAGES, 131_072)
    const damaged = [0, 1, 63, 64, 65, 127, 128, 149]
    for (const page of damaged) checker.bytes[page * PAGE + 5000] = 0xee
    assert.deepEqual(
      checker.findBadPages({ offset: 0, pageCount: PAGES }, 131_072),
      damaged.map((page) => page + 131_072),
    )
  })

  test('judges a range that starts anywhere', () => {
    const checker = makeChecker()
    fill(checker, 10, 7)
    checker.bytes.copyWithin(3, 0, 10 * PAGE)
    assert.deepEqual(checker.findBadPages({ offset: 3, pageCount: 10 }, 7), [])
    assert.deepEqual(checker.findBadPages({ offset: 3 + PAGE, pageCount: 2 }, 7), [7, 8])
  })

  test('the highest block numbers count as unsigned', () => {
    const checker = makeChecker()
    fill(checker, 2, 0xffff_fff0)
    assert.deepEqual(checker.findBadPages({ offset: 0, pageCount: 2 }, 0xffff_fff0), [])
    checker.bytes[PAGE + 100] = 1
    assert.deepEqual(checker.findBadPages({ offset: 0, pageCount: 2 }, 0xffff_fff0), [0xffff_fff1])
  })

  test('new pages pass', () => {
    assert.deepEqual(makeChecker().findBadPages({ offset: 0, pageCount: PAGES }, 0), [])
  })

  test('pages changed at or after the limit are not judged', () => {
    const checker = makeChecker()
    fill(checker, 4, 0)
    for (let page = 0; page < 4; page += 1) checker.bytes[page * PAGE + 100] = 0xee
    assert.deepEqual(checker.findBadPages({ offset: 0, pageCount: 4 }, 0, toLsn(3n)), [0, 1])
  })

  test('other block sizes are judged too', () => {
    const checker = makeChecker(4, 32_768)
    fill(checker, 4, 0)
    assert.deepEqual(checker.findBadPages({ offset: 0, pageCount: 4 }, 0), [])
    checker.bytes[32_768 * 2 + 32_767] = 1
    assert.deepEqual(checker.findBadPages({ offset: 0, pageCount: 4 }, 0), [2])
  })

  test('pages at or after an LSN are changed, and pages without one', () => {
    const checker = makeChecker()
    fill(checker, PAGES, 0)
    checker.bytes.fill(0, 70 * PAGE, 71 * PAGE)
    const bitmap = checker.changedSince({ offset: 0, pageCount: PAGES }, toLsn(100n))
    assert.equal(bitmap.length, Math.ceil(PAGES / 8))
    const late = Array.from({ length: PAGES - 99 }, (_, index) => index + 99)
    assert.deepEqual(bitsOf(bitmap, PAGES), [70, ...late])
  })

  test('LSNs are compared as unsigned 64-bit numbers', () => {
    const checker = makeChecker()
    checker.bytes.set([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], 0)
    const range = { offset: 0, pageCount: 1 }
    assert.deepEqual(bitsOf(checker.changedSince(range, toLsn(1n)), 1), [0])
    assert.deepEqual(bitsOf(checker.changedSince(range, toLsn(0xffff_ffff_0000_0001n)), 1), [])
  })

  test('a range outside the memory is an error', () => {
    const checker = makeChecker(8)
    assert.throws(() => checker.findBadPages({ offset: 1, pageCount: 8 }, 0), RangeError)
  })

  test('an empty range has no bad pages', () => {
    assert.deepEqual(makeChecker().findBadPages({ offset: 0, pageCount: 0 }, 0), [])
    assert.equal(makeChecker().changedSince({ offset: 0, pageCount: 0 }, toLsn(1n)).length, 0)
  })
})

test('the committed WebAssembly is what its source compiles to', async () => {
  const committed = join(import.meta.dirname, '../../../src/postgres/page-checksum-wasm.ts')
  assert.equal(readFileSync(committed, 'utf8'), await buildPageChecksum())
})
