import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { bytesOfPath, filePath, pathOfBytes, readItems } from '../../../src/util/byte-path.ts'

describe('a name of bytes', () => {
  it('comes back from its string', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        assert.deepEqual(bytesOfPath(pathOfBytes(Buffer.from(bytes))), Buffer.from(bytes))
      }),
      { numRuns: 2000 },
    )
  })

  it('that is UTF-8 is the string it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        assert.equal(pathOfBytes(Buffer.from(text)), text)
      }),
    )
  })

  it('is found again in a directory', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'byte-path-'))
    try {
      const names = [
        Buffer.from('caf\xe9', 'latin1'),
        Buffer.from('caf\xea', 'latin1'),
        Buffer.from('é'),
      ]
      for (const name of names) {
        await writeFile(filePath(join(directory, pathOfBytes(name))), '')
      }
      const found = (await readItems(directory)).map((item) =>
        bytesOfPath(item.name).toString('hex'),
      )
      assert.deepEqual(found.sort(), names.map((name) => name.toString('hex')).sort())
      const there = await readdir(directory, { encoding: 'buffer' })
      assert.deepEqual(there.map((name) => name.toString('hex')).sort(), found)
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})
