import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { networkHolds, parseIpAddress, prefixMask } from '../../../src/postgres/ip-network.ts'

suite('IP address', () => {
  for (const [text, family, value] of [
    ['0.0.0.0', 4, 0n],
    ['127.0.0.1', 4, 0x7f000001n],
    ['::', 6, 0n],
    ['::1', 6, 1n],
    ['1::', 6, 1n << 112n],
    ['fe80::1%eth0', 6, (0xfe80n << 112n) | 1n],
    ['::ffff:127.0.0.1', 6, 0xffff_7f00_0001n],
    ['2001:db8:0:1:1:1:1:1', 6, 0x20010db8_00000001_00010001_00010001n],
  ] as const) {
    test(`${text} is read`, () => assert.deepEqual(parseIpAddress(text), { family, value }))
  }

  for (const text of ['', 'localhost', '1.2.3', '1.2.3.256', ':::', '10.0.0.0/8']) {
    test(`"${text}" is none`, () => assert.equal(parseIpAddress(text), undefined))
  }

  test('any IPv6 address is read as it was written', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const address = parseIpAddress(text) ?? assert.fail(text)
        const words = address.value.toString(16).padStart(32, '0').match(/.{4}/g) ?? []
        assert.deepEqual(parseIpAddress(words.join(':')), address)
      }),
    )
  })
})

suite('IP network', () => {
  test('holds exactly the addresses that share its prefix', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.ipV4(), (base, bits, other) => {
        const network = parseIpAddress(base) ?? assert.fail()
        const address = parseIpAddress(other) ?? assert.fail()
        const mask = prefixMask(4, bits) ?? assert.fail()
        const shift = BigInt(32 - bits)
        const expected = network.value >> shift === address.value >> shift
        assert.equal(networkHolds({ ...network, mask }, address), expected)
      }),
    )
  })

  test('IPv4 and IPv6 never meet', () => {
    const all = { family: 4, value: 0n, mask: 0n } as const
    assert.equal(networkHolds(all, { family: 6, value: 1n }), false)
  })

  test('a prefix longer than the address is impossible', () => {
    assert.equal(prefixMask(4, 33), undefined)
    assert.equal(prefixMask(6, 128), (1n << 128n) - 1n)
    assert.equal(prefixMask(6, 129), undefined)
  })
})
