import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { formatSize, parseSize } from '../../../src/util/size.ts'

suite('size', () => {
  for (const [text, bytes] of [
    ['0', 0],
    ['512', 512],
    ['512B', 512],
    ['1kB', 1024],
    ['1KiB', 1024],
    ['64MiB', 67_108_864],
    ['64 MB', 67_108_864],
    ['1.5g', 1_610_612_736],
    ['2TB', 2_199_023_255_552],
  ] as const) {
    test(`"${text}" is ${bytes} bytes`, () => assert.equal(parseSize(text), bytes))
  }

  for (const text of ['', 'MB', '-1', '1XB', '1 MB MB', '1e3', '0x10', '1,5GB']) {
    test(`"${text}" is none`, () => assert.equal(parseSize(text), undefined))
  }

  for (const [bytes, text] of [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 kB'],
    [38_587_597, '36.8 MB'],
    [104_857_600, '100 MB'],
    [3_113_851_290, '2.9 GB'],
    [-2048, '-2.0 kB'],
    [2 ** 62, '4096 PB'],
  ] as const) {
    test(`${bytes} bytes are told as "${text}"`, () => assert.equal(formatSize(bytes), text))
  }

  test('what rounds up to the next unit is told in it', () => {
    assert.equal(formatSize(1024 ** 2 - 1), '1.0 MB')
  })
})
