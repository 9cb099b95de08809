/**
 * Answers through the pipe of a store, from a process that is in other hands.
 */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { answerFrame, type PipeAnswer, readAnswers } from '../../../src/store/pipe-frames.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'

const VALUE = 1
const FAILURE = 2

function framed(kind: number, body: Buffer): Readable {
  const head = Buffer.alloc(9)
  head.writeUInt32BE(body.length)
  head.writeUInt8(kind, 8)
  return Readable.from([head, body])
}

async function read(stream: Readable): Promise<PipeAnswer | undefined> {
  for await (const answer of readAnswers(stream)) return answer
  return undefined
}

async function assertDamaged(body: Buffer): Promise<void> {
  await assert.rejects(read(framed(VALUE, body)), (error) => isBackstayError(error, 'FAILED'))
}

/** Of Node's serialization: an array without content, of that length. */
function emptyArray(length: number): readonly number[] {
  const words: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 128)) {
    words.push((rest % 128) + (rest < 128 ? 0 : 128))
  }
  return [0x61, ...words, 0x40, 0, ...words]
}

test('what a plan is made of comes through as it is', async () => {
  const value = {
    lsn: 2n ** 64n - 1n,
    before: -1n,
    ranges: new Map([[1, [{ startLsn: 5n, to: null }]]]),
    words: ['', '$map', '\u{1f600}'],
    isTrue: true,
  }
  const frame = Readable.from(answerFrame({ id: 7, value }))
  assert.deepEqual(await read(frame), { id: 7, value })
  const none = Readable.from(answerFrame({ id: 7, value: undefined }))
  assert.deepEqual(await read(none), { id: 7, value: undefined })
})

test('a few bytes that name arrays of millions are no answer', async () => {
  const count = 12
  const arrays = Array.from({ length: count }, () => emptyArray(30_000_000)).flat()
  await assertDamaged(Buffer.from([0xff, 0x0f, 0x41, count, ...arrays, 0x24, 0, count]))
})

test('nor are millions of parts, or parts within parts', async () => {
  await assertDamaged(Buffer.from(`[${'[],'.repeat(700_000)}0]`))
  await assertDamaged(Buffer.from('['.repeat(400_000) + ']'.repeat(400_000)))
  await assertDamaged(Buffer.from(`{"$bigint":${'1'.repeat(100)}`))
})

test('a failure whose words are none is one of the catalogue', async () => {
  const words = { code: 'toString', message: { toString: 1, valueOf: 2 }, hint: [] }
  const answer = await read(framed(FAILURE, Buffer.from(JSON.stringify(words))))
  assert.equal(answer && 'failure' in answer ? answer.failure.code : undefined, 'FAILED')
})
