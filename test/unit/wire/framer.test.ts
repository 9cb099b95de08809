import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import {
  Framer,
  MAX_COPY_DATA_BYTES,
  MAX_MESSAGE_BYTES,
  type MessageHandler,
} from '../../../src/wire/framer.ts'
import { cut, places, pushAll } from './splits.ts'

/** Writes down what it is told; copy pieces are joined. */
class Recorder implements MessageHandler {
  readonly seen: string[] = []
  readonly #isSlow: boolean
  #copy: Buffer[] = []
  #length = 0

  constructor(isSlow = false) {
    this.#isSlow = isSlow
  }

  message(type: number, payload: Buffer): void | Promise<void> {
    return this.#take(() =>
      this.seen.push(`${String.fromCharCode(type)} ${payload.toString('hex')}`),
    )
  }

  copyBegin(length: number): void | Promise<void> {
    return this.#take(() => {
      this.#length = length
      this.#copy = []
    })
  }

  copyPiece(piece: Buffer): void | Promise<void> {
    return this.#take(() => {
      assert.ok(piece.length > 0, 'no empty pieces')
      this.#copy.push(Buffer.from(piece))
    })
  }

  copyEnd(): void | Promise<void> {
    return this.#take(() => {
      const whole = Buffer.concat(this.#copy)
      assert.equal(whole.length, this.#length, 'exactly the announced bytes')
      this.seen.push(`d ${whole.toString('hex')}`)
    })
  }

  /** A slow recorder looks at the bytes only later: they must still be there. */
  #take(look: () => void): void | Promise<void> {
    if (!this.#isSlow) return look()
    return Promise.resolve().then(look)
  }
}

function frame(type: string, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + payload.length)
  bytes.write(type, 0, 'latin1')
  bytes.writeInt32BE(payload.length + 4, 1)
  bytes.set(payload, 5)
  return bytes
}

const messages = fc.array(
  fc.record({
    type: fc.constantFrom('d', 'd', 'D', 'T', 'C', 'Z', 'E', 'N', 'S', 'R', 'c', 'W', 'H'),
    payload: fc.uint8Array({ maxLength: 300 }),
  }),
  { maxLength: 20 },
)

async function record(pieces: readonly Buffer[], isSlow: boolean): Promise<string[]> {
  const recorder = new Recorder(isSlow)
  const framer = new Framer(recorder)
  await pushAll(pieces, (piece) => framer.push(piece))
  return recorder.seen
}

describe('framer', () => {
  it('gives the same messages for any split of the stream, held back or not', async () => {
    await fc.assert(
      fc.asyncProperty(messages, places, fc.boolean(), async (list, where, isSlow) => {
        const stream = Buffer.concat(list.map(({ type, payload }) => frame(type, payload)))
        const expected = list.map(
          ({ type, payload }) => `${type} ${Buffer.from(payload).toString('hex')}`,
        )
        assert.deepEqual(await record(cut(stream, where), isSlow), expected)
      }),
      { numRuns: 300 },
    )
  })

  it('gives the same messages one byte at a time', async () => {
    const list = [
      frame('S', Buffer.from('a\0b\0')),
      frame('d', Buffer.from('xyz')),
      frame('c', Buffer.alloc(0)),
    ]
    const stream = Buffer.concat(list)
    const bytes = Array.from({ length: stream.length }, (_, at) => stream.subarray(at, at + 1))
    assert.deepEqual(await record(bytes, false), ['S 61006200', 'd 78797a', 'c '])
  })

  it('hands over a whole message without copying it', () => {
    const input = frame('S', Buffer.from('in place'))
    let isView = false
    const handler = new Recorder()
    handler.message = (_type, payload) => void (isView = payload.buffer === input.buffer)
    void new Framer(handler).push(input)
    assert.ok(isView)
  })

  it('lets CopyData of the largest size through without gathering it', () => {
    const header = Buffer.from('d\0\0\0\0', 'latin1')
    header.writeInt32BE(MAX_COPY_DATA_BYTES + 4, 1)
    const pieces: number[] = []
    const recorder = new Recorder()
    recorder.copyPiece = (piece) => void pieces.push(piece.length)
    const framer = new Framer(recorder)
    void framer.push(header)
    void framer.push(Buffer.alloc(1000))
    assert.deepEqual(pieces, [1000])
  })

  for (const [what, type, length] of [
    ['a length below its own field', 'Z', 3],
    ['a negative length', 'Z', -1],
    ['a message too long to gather', 'D', MAX_MESSAGE_BYTES + 5],
    ['CopyData beyond the limit', 'd', MAX_COPY_DATA_BYTES + 5],
    ['an unknown type', '!', 4],
    ['the greeting of another protocol', 'H', 0x54502f31],
  ] as const) {
    it(`refuses ${what}`, () => {
      const header = Buffer.alloc(5)
      header.write(type, 'latin1')
      header.writeInt32BE(length, 1)
      assert.throws(
        () => new Framer(new Recorder()).push(header),
        (error) => isBackstayError(error, 'POSTGRES_PROTOCOL'),
      )
    })
  }

  it('passes on what a handler throws, at once or later', async () => {
    const failure = new Error('sink')
    const throwing = new Recorder()
    throwing.message = () => {
      throw failure
    }
    assert.throws(() => new Framer(throwing).push(frame('Z', Buffer.of(73))), failure)
    const rejecting = new Recorder()
    rejecting.message = async () => Promise.reject(failure)
    await assert.rejects(async () => new Framer(rejecting).push(frame('Z', Buffer.of(73))), failure)
  })
})
