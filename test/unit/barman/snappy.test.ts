/**
 * Snappy's framed streams: what the format allows is unpacked, what is damaged is refused.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from '@node-rs/crc32'
import { unpackSnappy } from '../../../src/barman/wal/snappy.ts'

const IDENTIFIER = Buffer.from([0xff, 6, 0, 0, ...Buffer.from('sNaPpY')])
const MOST = 1024 * 1024

function chunk(type: number, content: Buffer | string, body: Buffer): Buffer {
  const crc = crc32c(Buffer.from(content))
  const head = Buffer.alloc(8)
  head[0] = type
  head.writeUIntLE(body.length + 4, 1, 3)
  head.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0, 4)
  return Buffer.concat([head, body])
}

function unpack(...chunks: Buffer[]): string {
  return unpackSnappy(Buffer.concat([IDENTIFIER, ...chunks]), MOST).toString()
}

test('literals, copies that overlap, long literals and chunks that are not compressed', () => {
  const copied = Buffer.from([10, 0x04, 0x61, 0x62, 0x11, 2])
  assert.equal(unpack(chunk(0, 'ababababab', copied)), 'ababababab')
  const wide = Buffer.from([6, 0x08, 0x61, 0x62, 0x63, 0x0a, 3, 0])
  assert.equal(unpack(chunk(0, 'abcabc', wide)), 'abcabc')
  const long = 'x'.repeat(300)
  const literal = Buffer.concat([Buffer.from([0xac, 0x02, 61 << 2, 43, 1]), Buffer.from(long)])
  assert.equal(unpack(chunk(0, long, literal)), long)
  assert.equal(
    unpack(chunk(1, 'plain', Buffer.from('plain')), chunk(0xfe, '', Buffer.from('?'))),
    'plain',
  )
})

test('damage of every kind is refused', () => {
  const good = chunk(0, 'ababababab', Buffer.from([10, 0x04, 0x61, 0x62, 0x11, 2]))
  const cases: readonly (readonly [string, Buffer, RegExp])[] = [
    ['a wrong sum', chunk(1, 'other', Buffer.from('plain')), /checksum is wrong/],
    ['a cut chunk', good.subarray(0, -1), /ends in a chunk/],
    [
      'a copy from before',
      chunk(0, '', Buffer.from([10, 0x04, 0x61, 0x62, 0x11, 9])),
      /begins before/,
    ],
    ['too little', chunk(0, '', Buffer.from([10, 0x04, 0x61, 0x62])), /shorter than it says/],
    ['too much', chunk(0, '', Buffer.from([1, 0x04, 0x61, 0x62])), /longer than it says/],
    ['a huge chunk', chunk(0, '', Buffer.from([0xff, 0xff, 0xff, 0x0f])), /too long/],
    ['an unknown type', chunk(2, '', Buffer.from('x')), /chunk type 2 is unknown/],
  ]
  for (const [what, bytes, says] of cases) assert.throws(() => unpack(bytes), says, what)
  assert.throws(() => unpackSnappy(Buffer.concat([IDENTIFIER, good]), 5), /more than 5 bytes/)
})
