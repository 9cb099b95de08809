import assert from 'node:assert/strict'
import { it } from 'node:test'
import { crc32c } from '@node-rs/crc32'
import * as fc from 'fast-check'
import { RunningCrc } from '../../../src/postgres/running-crc.ts'

it('a CRC of pieces is that of the whole, however short or long they are', () => {
  const crc = new RunningCrc()
  const bytes = fc.uint8Array({ maxLength: 700 })
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(700), { maxLength: 4 }), (whole, cuts) => {
      const places = [0, ...cuts.map((cut) => Math.min(cut, whole.length)), whole.length]
      const ends = places.sort((a, b) => a - b)
      crc.begin()
      for (const [index, to] of ends.entries()) crc.update(whole, ends[index - 1] ?? 0, to)
      assert.equal(crc.value, crc32c(whole))
    }),
  )
})
