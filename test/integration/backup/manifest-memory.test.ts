/**
 * Who may write the repository makes a manifest of which little unfolds to much: reading it takes memory that is bounded.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { compressFrameAsync } from '../../../src/repository/codec.ts'
import { encodeBlockTable } from '../../../src/repository/manifest-blocks.ts'
import {
  MANIFEST_MAGIC,
  PackTable,
  PIECES_MAX,
  RECORD,
} from '../../../src/repository/manifest-records.ts'
import { ByteWriter } from '../../../src/repository/record-bytes.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const LIMIT = { timeout: 120_000 }
const MB = 1024 ** 2
const OBJECT = 'manifest.zst'
const READER = JSON.stringify(import.meta.resolve('../../../src/repository/manifest-reader.ts'))
const STORE = JSON.stringify(import.meta.resolve('../../../src/store/disk-store.ts'))

/** Writes blocks as they are given. */
async function writeBlocks(directory: string, contents: readonly Buffer[]): Promise<void> {
  const parts: Buffer[] = []
  const blocks: { offset: number; storedBytes: number; rawBytes: number }[] = []
  const frames = new Map<Buffer, Buffer>()
  let offset = 0
  for (const content of contents) {
    const frame = frames.get(content) ?? (await compressFrameAsync(content))
    frames.set(content, frame)
    blocks.push({ offset, storedBytes: frame.length, rawBytes: content.length })
    offset += frame.length
    parts.push(frame)
  }
  await new DiskStore(directory).put(OBJECT, Buffer.concat([...parts, encodeBlockTable(blocks)]))
}

/** How a manifest begins. */
const HEAD = Buffer.concat([MANIFEST_MAGIC, Buffer.of(16), Buffer.from('20261122T084545X')])

/** A manifest's first block, with one file of `count` units and as many extents of a byte. */
function fileOfPieces(count: number, path = 'base/5/1'): Buffer {
  const bytes = new ByteWriter(32 * MB)
  bytes.bytes(MANIFEST_MAGIC)
  bytes.string('20261122T084545')
  new PackTable().number('20261122T084545-000001', bytes)
  bytes.byte(RECORD.file)
  bytes.string(path)
  for (const value of [0o600, 0, count]) bytes.varint(value)
  bytes.byte(0)
  bytes.varint(count)
  for (let left = count; left > 0; left -= 1) for (const value of [0, 0, 1, 1]) bytes.varint(value)
  bytes.varint(count)
  for (let left = count; left > 0; left -= 1) for (const value of [1, 0, 1]) bytes.varint(value)
  return Buffer.from(bytes.view())
}

/** Reads the manifest in a process of its own: what came, and how much memory that took. */
function readApart(directory: string, read: string): { said: string; mostMegabytes: number } {
  const script = `import { ManifestReader } from ${READER}
    import { DiskStore } from ${STORE}
    const reader = await ManifestReader.open(new DiskStore(process.argv[1]), '${OBJECT}')
    let said = ''
    try { ${read} } catch (error) { said = error.message }
    console.log(JSON.stringify({ said, mostMegabytes: process.resourceUsage().maxRSS / 1024 }))`
  const words = ['--max-old-space-size=4000', '--input-type=module', '-e', script, directory]
  return JSON.parse(
    execFileSync(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] }).toString(),
  ) as ReturnType<typeof readApart>
}

const FIRST = `for await (const entry of reader.entries()) { said = String(entry.extents.length); break }`

test('a block of tiny extents is refused before they are made', LIMIT, async () => {
  await using base = temporaryDirectory()
  await writeBlocks(base.path, [fileOfPieces(9_000_000)])
  const { said, mostMegabytes } = readApart(base.path, FIRST)
  assert.match(said, /more units of "base\/5\/1" than the 4194304 that may be/)
  assert.ok(mostMegabytes < 400, `${mostMegabytes} MB`)
})

test('the largest file that may be is read, in memory that is bounded', LIMIT, async () => {
  await using base = temporaryDirectory()
  await writeBlocks(base.path, [fileOfPieces(PIECES_MAX)])
  const { said, mostMegabytes } = readApart(base.path, FIRST)
  assert.equal(said, String(PIECES_MAX))
  assert.ok(mostMegabytes < 1200, `${mostMegabytes} MB`)
})

test('long blocks that are read again are not all kept', LIMIT, async () => {
  await using base = temporaryDirectory()
  const bytes = new ByteWriter(64 * MB)
  for (let left = 1000; left > 0; left -= 1) {
    bytes.byte(RECORD.directory)
    bytes.string('a'.repeat(65_000))
    bytes.varint(0o700)
  }
  const block = Buffer.from(bytes.view())
  await writeBlocks(
    base.path,
    Array.from({ length: 24 }, () => block),
  )
  const again = `for (let block = 0; block < 24; block += 1) await reader.entryAt({ block, offset: 0 })`
  const { said, mostMegabytes } = readApart(base.path, again)
  assert.equal(said, '')
  assert.ok(mostMegabytes < 900, `${mostMegabytes} MB`)
})

const SURVEY = JSON.stringify(import.meta.resolve('../../../src/restore/manifest-survey.ts'))
const WALK = `const { surveyManifest } = await import(${SURVEY}); await surveyManifest(reader, 18)`

test('tablespaces without end are refused before they are all kept', LIMIT, async () => {
  await using base = temporaryDirectory()
  const bytes = new ByteWriter(64 * MB)
  for (let oid = 1; oid <= 2_000_000; oid += 1) {
    bytes.byte(RECORD.link)
    bytes.string(`pg_tblspc/${oid}`)
    bytes.varint(0o777)
    bytes.string('/srv')
  }
  const links = Buffer.from(bytes.view())
  await writeBlocks(base.path, [HEAD, ...Array.from({ length: 10 }, () => links)])
  const { said, mostMegabytes } = readApart(base.path, WALK)
  assert.match(said, /more than 10000 tablespaces/)
  assert.ok(mostMegabytes < 400, `${mostMegabytes} MB`)
})

test('a configuration file in very many pieces is refused', LIMIT, async () => {
  await using base = temporaryDirectory()
  await writeBlocks(base.path, [fileOfPieces(5000, 'postgresql.conf')])
  assert.match(
    readApart(base.path, WALK).said,
    /"postgresql.conf" of the backup: it lies in 5000 pieces/,
  )
})

test('a name without end that is no UTF-8 is refused before it is read', LIMIT, async () => {
  await using base = temporaryDirectory()
  const bytes = new ByteWriter(64 * MB)
  bytes.byte(RECORD.directory)
  bytes.varint(60 * MB)
  bytes.bytes(Buffer.alloc(60 * MB, 0xff))
  bytes.varint(0o700)
  await writeBlocks(base.path, [Buffer.from(bytes.view())])
  const { said, mostMegabytes } = readApart(
    base.path,
    'await reader.entryAt({ block: 0, offset: 0 })',
  )
  assert.match(said, /a text in it has no end/)
  assert.ok(mostMegabytes < 400, `${mostMegabytes} MB`)
})

test('a table of more blocks than a manifest has is damage', LIMIT, async () => {
  await using base = temporaryDirectory()
  const blocks = Array.from({ length: 2 ** 20 + 1 }, () => ({
    offset: 0,
    storedBytes: 0,
    rawBytes: 0,
  }))
  await new DiskStore(base.path).put(OBJECT, encodeBlockTable(blocks))
  assert.throws(() => readApart(base.path, ''), /its block table is damaged/)
})
