import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { combineCrc32c, crc32cOfZeros } from '../../../src/repository/crc32c-combine.ts'

describe('combineCrc32c', () => {
  it('gives the CRC of two joined pieces', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000 }),
        fc.uint8Array({ maxLength: 3000 }),
        (a, b) => {
          const joined = crc32c(Buffer.concat([a, b]))
          assert.equal(
            combineCrc32c(crc32c(Buffer.from(a)), crc32c(Buffer.from(b)), b.length),
            joined,
          )
        },
      ),
    )
  })

  it('gives that of zeros that are not there', () => {
    for (const length of [0, 1, 2, 3, 255, 8192, 100_003]) {
      assert.equal(crc32cOfZeros(length), crc32c(Buffer.alloc(length)))
    }
  })

  it('is right for pieces of gigabytes', () => {
    // Appending zeros a piece at a time and all at once must agree, whatever the lengths.
    const zeros = (length: number): number => {
      let crc = crc32c(Buffer.alloc(1 << 20))
      let have = 1 << 20
      while (have < length) {
        crc = combineCrc32c(crc, crc, have)
        have *= 2
      }
      return crc
    }
    const giga = zeros(2 ** 32)
    assert.equal(
      combineCrc32c(giga, giga, 2 ** 32),
      combineCrc32c(combineCrc32c(giga, zeros(2 ** 31), 2 ** 31), zeros(2 ** 31), 2 ** 31),
    )
  })
})
