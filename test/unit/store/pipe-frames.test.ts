/**
 * Answers through the pipe of a store, from a process that is in other hands.
 */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { serialize } from 'node:v8'
import { readAnswers } from '../../../src/store/pipe-frames.ts'

const FAILURE = 2

test('a failure whose words are none is one of the catalogue', async () => {
  const body = serialize({ code: 'toString', message: { toString: 1, valueOf: 2 }, hint: [] })
  const head = Buffer.alloc(9)
  head.writeUInt32BE(body.length)
  head.writeUInt8(FAILURE, 8)
  for await (const answer of readAnswers(Readable.from([head, body]))) {
    assert.equal('failure' in answer ? answer.failure.code : undefined, 'FAILED')
  }
})
