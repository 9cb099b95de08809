/**
 * Pages of zeros take no room in a tree that is written on this machine, however its bytes arrive.
 */
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { LocalHost } from '../../../src/host/local-host.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const MEBIBYTE = 1024 * 1024

for (const chunkBytes of [8192, 65536, 31_337]) {
  test(`pages of zeros become holes, in chunks of ${chunkBytes} bytes`, async () => {
    await using base = temporaryDirectory()
    const tree = await new LocalHost('here').openTree(base.path, {})
    const content = Buffer.alloc(8 * MEBIBYTE)
    content.fill('x', 3 * MEBIBYTE + 5, 3 * MEBIBYTE + 20_000)
    content.writeUInt8(1, 8192 * 3 + 8191)
    await tree.beginFile('file', { mode: 0o600, sizeBytes: content.length, modifiedAtMs: 0 })
    for (let at = 0; at < content.length; at += chunkBytes) {
      await tree.write(content.subarray(at, at + chunkBytes))
    }
    await tree.endFile()
    await tree.sync()
    await tree.close()
    const path = join(base.path, 'file')
    assert.ok(readFileSync(path).equals(content))
    const takenBytes = statSync(path).blocks * 512
    assert.ok(takenBytes < 100_000, `${takenBytes} bytes on the disk`)
  })
}
