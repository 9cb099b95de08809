import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseControlFile } from '../../../src/postgres/control-file.ts'
import {
  inspectSegment,
  majorOfWalMagic,
  readWalPageHeader,
  WAL_MAGIC,
} from '../../../src/postgres/wal-page.ts'
import { GOLDENS, unpack } from '../../fixtures/postgres/golden.ts'

suite('WAL segment', () => {
  for (const golden of GOLDENS) {
    const control = parseControlFile(Buffer.from(golden.controlFile, 'base64'))
    const bytes = unpack(golden.wal.bytes)
    const { name } = golden.wal
    const expected = {
      name,
      fileBytes: control.segmentBytes,
      systemIdentifier: control.systemIdentifier,
      segmentBytes: control.segmentBytes,
      major: golden.major,
    }
    const problemWith = (change: object): string =>
      inspectSegment(bytes, { ...expected, ...change }).problem ?? 'none'

    test(`of PostgreSQL ${golden.major} is recognised`, () => {
      assert.deepEqual(inspectSegment(bytes, expected), {
        identity: {
          major: golden.major,
          timeline: 1,
          startLsn: BigInt(Number.parseInt(name.slice(16), 16)) * 0x1000000n,
          systemIdentifier: control.systemIdentifier,
          segmentBytes: control.segmentBytes,
          walBlockBytes: 8192,
        },
      })
    })

    test(`of PostgreSQL ${golden.major} is refused under any other description, in words`, () => {
      assert.match(problemWith({ systemIdentifier: '1' }), /belongs to the cluster .*, not 1$/)
      assert.match(problemWith({ fileBytes: 100 }), /has 100 bytes, not 16777216/)
      assert.match(
        problemWith({ segmentBytes: 1048576 }),
        /segments have 16777216 bytes, not 1048576/,
      )
      assert.match(problemWith({ major: 10 }), /written by PostgreSQL \d+, not 10/)
      assert.match(problemWith({ name: '0000000100000000000000FF' }), /name says 0\/FF000000/)
      assert.match(problemWith({ name: `00000000${name.slice(8)}` }), /timeline 1, its name says 0/)
      assert.match(problemWith({ name: 'x' }), /"x" names no WAL segment/)
    })
  }

  const { wal } = GOLDENS[0] ?? assert.fail()
  const bytes = unpack(wal.bytes)
  const { name } = wal

  test('named only is compared by name only', () => {
    assert.ok(inspectSegment(bytes, { name }).identity)
  })

  test('a .partial may have any length', () => {
    assert.ok(inspectSegment(bytes, { name: `${name}.partial`, fileBytes: 5 }).identity)
  })

  test('a later timeline may begin with its parent’s pages', () => {
    assert.equal(inspectSegment(bytes, { name: `00000005${name.slice(8)}` }).identity?.timeline, 1)
  })

  test('zeros, a short file, foreign bytes and an inner page are told apart', () => {
    const problem = (content: Uint8Array): string =>
      inspectSegment(content, { name }).problem ?? 'none'
    assert.match(problem(Buffer.alloc(100)), /zeros/)
    assert.match(problem(bytes.subarray(0, 39)), /ends after 39 bytes/)
    assert.match(problem(Buffer.alloc(100, 7)), /magic is 0x0707/)
    assert.match(problem(bytes.subarray(8192)), /not the first page/)
  })

  test('every major has a magic number of its own', () => {
    for (const [major, magic] of Object.entries(WAL_MAGIC)) {
      assert.equal(majorOfWalMagic(magic), Number(major))
    }
    assert.equal(majorOfWalMagic(0), undefined)
  })

  test('only the first page has a long header', () => {
    assert.ok(readWalPageHeader(bytes).long)
    assert.equal(readWalPageHeader(bytes, 8192).long, undefined)
  })
})
