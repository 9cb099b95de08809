import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { BackupId } from '../../../src/repository/backup-info.ts'
import { clusterNames } from '../../../src/repository/format.ts'
import type { Extent, ManifestEntry } from '../../../src/repository/manifest-entry.ts'
import { ManifestReader } from '../../../src/repository/manifest-reader.ts'
import { ManifestWriter } from '../../../src/repository/manifest-writer.ts'
import { pathOfBytes } from '../../../src/util/byte-path.ts'
import { MemoryStore } from '../../harness/memory-store.ts'
import type { Store } from '../../../src/store/store.ts'
import { frameBound } from '../../../src/repository/codec.ts'

const ID = '20261122T084545' as BackupId
const names = clusterNames('shop')
const object = names.manifest(ID)

async function write(store: Store, entries: readonly ManifestEntry[]) {
  await using writer = await ManifestWriter.create(store, names, ID)
  for (const entry of entries) await writer.add(entry)
  return await writer.finish()
}

async function read(store: Store): Promise<ManifestEntry[]> {
  await using reader = await ManifestReader.open(store, object)
  const entries: ManifestEntry[] = []
  for await (const entry of reader.entries()) entries.push(entry)
  assert.equal(reader.backupId, ID)
  return entries
}

const unit = fc.record(
  {
    pack: fc.constantFrom(
      '20261122T084545-000001',
      '20261121T084545-000002',
      '20261120T084545-000001',
    ),
    offset: fc.nat(2 ** 40),
    storedBytes: fc.integer({ min: 1, max: frameBound(524_288) }),
    rawBytes: fc.constant(524_288),
  },
  { noNullPrototype: true },
)

/** Any name that may lie in a data directory: of bytes, UTF-8 or not. */
const path = fc
  .array(
    fc
      .uint8Array({ minLength: 1, maxLength: 12 })
      .filter((bytes) => !bytes.includes(0) && !bytes.includes(0x2f))
      .map((bytes) => pathOfBytes(Buffer.from(bytes)))
      .filter((name) => name !== '.' && name !== '..'),
    { minLength: 1, maxLength: 4 },
  )
  .map((names) => names.join('/'))

/** Files as a backup has them: extents in any order over few units, with holes of zeros. */
const file = fc
  .record({
    path,
    units: fc.array(unit, { minLength: 1, maxLength: 4 }),
    picks: fc.array(fc.tuple(fc.nat(4), fc.nat(63), fc.integer({ min: 1, max: 1 })), {
      maxLength: 20,
    }),
    crc32c: fc.option(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { nil: undefined }),
    modifiedAtMs: fc.nat(2_000_000_000).map((seconds) => seconds * 1000),
  })
  .map(({ path, units, picks, crc32c, modifiedAtMs }): ManifestEntry => {
    const extents = picks.map(([pick, page]): Extent => {
      const chosen = pick === 4 ? undefined : units[pick % units.length]
      const unitOffset = chosen === undefined ? 0 : page * 8192
      return { unit: chosen, unitOffset, length: 8192 }
    })
    const sizeBytes = extents.length * 8192
    return { kind: 'file', path, mode: 0o600, modifiedAtMs, sizeBytes, crc32c, extents }
  })

const entry = fc.oneof(
  file,
  path.map((at): ManifestEntry => ({ kind: 'directory', path: at, mode: 0o700 })),
  fc.tuple(fc.nat(), fc.string()).map(([oid, target]): ManifestEntry => ({
    kind: 'link',
    path: `pg_tblspc/${oid}`,
    mode: 0o777,
    target,
  })),
)

describe('manifest', () => {
  it('gives back every entry as it was written', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(entry, { maxLength: 50, selector: (one) => one.path }),
        async (entries) => {
          const store = new MemoryStore()
          await write(store, entries)
          assert.deepEqual(await read(store), entries)
        },
      ),
    )
  })

  it('takes no path twice', async () => {
    const twice = { kind: 'directory', path: 'base', mode: 0o700 } as const
    await assert.rejects(write(new MemoryStore(), [twice, { ...twice, path: 'base/5' }, twice]), {
      code: 'POSTGRES_PROTOCOL',
      message: 'Cannot store "base": it came twice',
    })
  })

  for (const bad of ['../x', 'a//b', '/etc/x', 'base/./1', 'pg_tblspc/1/../../../x', 'a\0b', '']) {
    it(`is damaged when it says ${JSON.stringify(bad)}, whoever reads it`, async () => {
      const store = new MemoryStore()
      await write(store, [{ kind: 'directory', path: bad, mode: 0o700 }])
      await assert.rejects(read(store), { code: 'REPOSITORY_DAMAGED' })
    })
  }

  it('is damaged when it links anything but a tablespace', async () => {
    const store = new MemoryStore()
    await write(store, [{ kind: 'link', path: 'base', mode: 0o777, target: '/etc' }])
    await assert.rejects(read(store), { code: 'REPOSITORY_DAMAGED' })
  })

  it('gives no file the right to run as another user', async () => {
    const store = new MemoryStore()
    const empty = { modifiedAtMs: 0, sizeBytes: 0, crc32c: undefined, extents: [] }
    await write(store, [{ kind: 'file', path: 'x', mode: 0o6755, ...empty }])
    assert.deepEqual(
      (await read(store)).map((one) => one.mode),
      [0o755],
    )
  })

  it('keeps units that are used by several extents one object', async () => {
    const store = new MemoryStore()
    const shared = { pack: `${ID}-000001`, offset: 100, storedBytes: 10, rawBytes: 16_384 }
    const extents = [
      { unit: shared, unitOffset: 8192, length: 8192 },
      { unit: undefined, unitOffset: 0, length: 8192 },
      { unit: shared, unitOffset: 0, length: 8192 },
    ]
    const common = { kind: 'file', mode: 0o600, modifiedAtMs: 0, crc32c: 1 } as const
    await write(store, [{ ...common, path: 'a', sizeBytes: 24_576, extents }])
    const [found] = await read(store)
    assert.ok(found?.kind === 'file')
    assert.equal(found.extents[0]?.unit, found.extents[2]?.unit)
  })

  const many = Array.from({ length: 12_000 }, (_, n): ManifestEntry => {
    const at = { pack: `${ID}-00000${n % 3}`, offset: n * 100, storedBytes: 99, rawBytes: 8192 }
    const extents = [{ unit: at, unitOffset: 0, length: 8192 }]
    const common = { kind: 'file', mode: 0o600, modifiedAtMs: 0, crc32c: n } as const
    return { ...common, path: `base/5/${n}`, sizeBytes: 8192, extents }
  })

  it('comes back to any entry by its place', async () => {
    const store = new MemoryStore()
    await write(store, many)
    await using reader = await ManifestReader.open(store, object)
    const placed = []
    for await (const one of reader.placedEntries()) placed.push(one)
    assert.ok((placed.at(-1)?.place.block ?? 0) > 2, 'several blocks')
    for (const { place, entry: expected } of placed.toReversed()) {
      assert.deepEqual(await reader.entryAt(place), expected)
    }
    assert.deepEqual(reader.packs, [`${ID}-000000`, `${ID}-000001`, `${ID}-000002`])
    assert.deepEqual(reader.totals, {
      files: 12_000,
      directories: 0,
      links: 0,
      bytes: 12_000 * 8192,
    })
  })

  it('never gives back anything else for a flipped bit', async () => {
    const store = new MemoryStore()
    const { storedBytes } = await write(store, many.slice(0, 500))
    const written = await read(store)
    const content = (await store.get(object, 2 ** 30)) ?? Buffer.alloc(0)
    assert.equal(content.length, storedBytes)
    const blocks = content.readUInt32LE(storedBytes - 16)
    // The head of the skippable frame is for zstd's own tools.
    const headAt = storedBytes - 16 - blocks * 8 - 8
    const bits = fc
      .nat(storedBytes * 8 - 1)
      .filter((bit) => bit >> 3 < headAt || bit >> 3 >= headAt + 8)
    await fc.assert(
      fc.asyncProperty(bits, async (bit) => {
        const flipped = Buffer.from(content)
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const other = new MemoryStore()
        await other.put(object, flipped)
        // A few bits of a zstd frame mean nothing: its content is then the same.
        const entries = await read(other).catch((error: unknown) => {
          assert.ok(isBackstayError(error, 'REPOSITORY_DAMAGED'), String(error))
          return written
        })
        assert.deepEqual(entries, written)
      }),
      { numRuns: 300 },
    )
  })

  it('notices truncation anywhere', async () => {
    const store = new MemoryStore()
    await write(store, many.slice(0, 50))
    const content = (await store.get(object, 2 ** 30)) ?? Buffer.alloc(0)
    for (let length = 0; length < content.length; length += 7) {
      const other = new MemoryStore()
      await other.put(object, content.subarray(0, length))
      await assert.rejects(read(other), (error) => isBackstayError(error, 'REPOSITORY_DAMAGED'))
    }
  })

  it('is missing rather than half there when its writer stopped', async () => {
    const store = new MemoryStore()
    {
      await using writer = await ManifestWriter.create(store, names, ID)
      await writer.add({ kind: 'directory', path: 'base', mode: 0o700 })
    }
    await assert.rejects(read(store), (error) => isBackstayError(error, 'REPOSITORY_DAMAGED'))
  })
})
