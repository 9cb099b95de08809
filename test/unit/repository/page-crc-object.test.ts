import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import type { BackupId } from '../../../src/repository/backup-info.ts'
import { clusterNames } from '../../../src/repository/format.ts'
import type { ManifestFile } from '../../../src/repository/manifest-entry.ts'
import {
  PageCrcReader,
  pageCrcWords,
  PageCrcWriter,
} from '../../../src/repository/page-crc-object.ts'
import { joinPageCrcs, pageCrcsOf } from '../../../src/repository/page-crcs.ts'
import { MemoryStore } from '../../harness/memory-store.ts'

const ID = '20261122T084545' as BackupId
const names = clusterNames('shop')

function file(path: string, sizeBytes: number): ManifestFile {
  const [mode, modifiedAtMs] = [0o600, 0]
  return { kind: 'file', path, mode, modifiedAtMs, sizeBytes, crc32c: undefined, extents: [] }
}

describe('CRCs of pages', () => {
  it('join to the CRC of the file, whatever its size', () => {
    fc.assert(
      fc.property(fc.nat(70_000), (sizeBytes) => {
        const content = randomBytes(sizeBytes)
        assert.equal(
          joinPageCrcs(pageCrcsOf(content), sizeBytes),
          sizeBytes === 0 ? 0 : crc32c(content),
        )
      }),
      { numRuns: 50 },
    )
  })

  it('are found again for every file of a manifest, small and large', async () => {
    const store = new MemoryStore()
    const contents = [1, 8192, 3 * 8192, 40_000 * 8, 0, 5].map((size) => randomBytes(size))
    const files = contents.map((content, n) => file(`base/5/${n + 1}`, content.length))
    files.splice(2, 0, file('PG_VERSION', 3))
    contents.splice(2, 0, Buffer.from('18\n'))
    {
      await using writer = await PageCrcWriter.create(store, names, ID)
      for (const [n, one] of files.entries()) {
        await writer.add(one, pageCrcsOf(contents[n] ?? Buffer.alloc(0)))
      }
      await writer.finish()
    }
    await using reader = await PageCrcReader.open(store, names, ID)
    let word = 0
    for (const [n, one] of files.entries()) {
      const found = await reader?.read(one, word)
      const isPaged = pageCrcWords(one) > 0
      assert.deepEqual(found, isPaged ? pageCrcsOf(contents[n] ?? Buffer.alloc(0)) : undefined)
      word += pageCrcWords(one)
    }
    const beyond = await reader?.read(file('base/5/9', 8192), word)
    assert.equal(beyond, undefined)
  })

  it('of another backup are none', async () => {
    const store = new MemoryStore()
    {
      await using writer = await PageCrcWriter.create(store, names, ID)
      await writer.finish()
    }
    const other = '20261122T084546' as BackupId
    await store.put(
      names.pageCrcs(other),
      (await store.get(names.pageCrcs(ID), 2 ** 20)) ?? Buffer.alloc(0),
    )
    assert.equal(await PageCrcReader.open(store, names, other), undefined)
    assert.equal(await PageCrcReader.open(store, names, '20261122T084547' as BackupId), undefined)
  })
})
