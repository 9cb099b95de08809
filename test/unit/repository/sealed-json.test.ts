import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { openSealedJson, sealJson } from '../../../src/repository/sealed-json.ts'

describe('sealed JSON', () => {
  it('gives back what was sealed', () => {
    const value = { format: 1, id: 'ä', list: [{ a: null }, 2], nested: { checksum: 'x' } }
    const { checksum, ...rest } = openSealedJson('x', sealJson(value))
    assert.deepEqual(rest, value)
    assert.match(String(checksum), /^[0-9a-f]{64}$/)
  })

  it('is JSON whose checksum covers all lines but the last two', () => {
    const text = sealJson({ format: 1, id: 'a' }).toString()
    const body = text.split('\n').slice(0, -3).join('\n') + '\n'
    const sha256 = createHash('sha256').update(body).digest('hex')
    assert.equal((JSON.parse(text) as { checksum: string }).checksum, sha256)
  })

  it('notices every flipped bit and every truncation', () => {
    const sealed = sealJson({ format: 1, id: '20261122T084545', bytes: { database: 12345 } })
    const isDamaged = (content: Buffer) =>
      assert.throws(
        () => openSealedJson('x', content),
        (error) => isBackstayError(error, 'REPOSITORY_DAMAGED'),
      )
    fc.assert(
      fc.property(fc.nat(sealed.length * 8 - 1), (bit) => {
        const flipped = Buffer.from(sealed)
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        isDamaged(flipped)
      }),
    )
    for (let length = 0; length < sealed.length; length += 1) isDamaged(sealed.subarray(0, length))
  })
})
