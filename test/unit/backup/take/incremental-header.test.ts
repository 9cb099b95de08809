import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  missingHeaderBytes,
  parseIncrementalHeader,
} from '../../../../src/backup/take/incremental-header.ts'
import { isBackstayError } from '../../../../src/errors/backstay-error.ts'

function header(truncation: number, blocks: readonly number[], magic = 0xd3ae1f0d): Buffer {
  const words = Uint32Array.from([magic, blocks.length, truncation, ...blocks])
  const bytes = Buffer.from(words.buffer)
  if (blocks.length === 0) return bytes
  return Buffer.concat([bytes, Buffer.alloc(8192 - (bytes.length % 8192))])
}

describe('incremental header', () => {
  it('asks for bytes until all of it is there', () => {
    const blocks = Array.from({ length: 5000 }, (_, n) => n)
    const bytes = header(6000, blocks)
    assert.equal(missingHeaderBytes(Buffer.alloc(0), 'f'), 12)
    assert.equal(missingHeaderBytes(bytes.subarray(0, 12), 'f'), 24_576)
    assert.equal(missingHeaderBytes(bytes.subarray(0, 24_575), 'f'), 24_576)
    assert.equal(missingHeaderBytes(bytes, 'f'), undefined)
    const parsed = parseIncrementalHeader(bytes, 'f')
    assert.deepEqual([...parsed.blocks], blocks)
    assert.equal(parsed.headerBytes, 24_576)
    assert.equal(parsed.fileBlocks, 6000)
  })

  it('has no padding when no block is sent', () => {
    assert.equal(missingHeaderBytes(header(7, []), 'f'), undefined)
    const { fileBlocks, headerBytes } = parseIncrementalHeader(header(7, []), 'f')
    assert.deepEqual({ fileBlocks, headerBytes }, { fileBlocks: 7, headerBytes: 12 })
  })

  it('makes the file long enough for the last block sent', () => {
    assert.equal(parseIncrementalHeader(header(2, [0, 9]), 'f').fileBlocks, 10)
  })

  it('takes an end in a later file of the relation for the end of this one', () => {
    assert.equal(parseIncrementalHeader(header(200_000, []), 'f').truncationBlocks, 131_072)
  })

  it('refuses what is none', () => {
    const isProtocol = (error: unknown) => isBackstayError(error, 'POSTGRES_PROTOCOL')
    assert.throws(() => missingHeaderBytes(header(1, [], 7), 'f'), isProtocol)
    const tooMany = Buffer.from(Uint32Array.from([0xd3ae1f0d, 131_073, 0]).buffer)
    assert.throws(() => missingHeaderBytes(tooMany, 'f'), isProtocol)
  })
})
