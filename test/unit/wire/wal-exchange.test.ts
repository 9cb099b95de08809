import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type Lsn, toLsn } from '../../../src/postgres/lsn.ts'
import { BACKEND } from '../../../src/wire/message-types.ts'
import { WalExchange } from '../../../src/wire/wal-exchange.ts'
import { cut, places, pushAll } from './splits.ts'

function walData(startLsn: bigint, wal: Uint8Array): Buffer {
  const header = Buffer.alloc(25)
  header.write('w')
  header.writeBigUInt64BE(startLsn, 1)
  header.writeBigUInt64BE(startLsn + BigInt(wal.length), 9)
  return Buffer.concat([header, wal])
}

function keepalive(endLsn: bigint): Buffer {
  const message = Buffer.alloc(18)
  message.write('k')
  message.writeBigUInt64BE(endLsn, 1)
  message.writeUInt8(1, 17)
  return message
}

interface Seen {
  readonly wal: Buffer[]
  readonly events: string[]
}

function start(seen: Seen): WalExchange {
  let next: Lsn | undefined
  const exchange = new WalExchange('Cannot receive WAL', {
    started: async () => void seen.events.push('started'),
    data: (position, bytes) => {
      assert.ok(next === undefined || position.startLsn === next, 'pieces are contiguous')
      next = toLsn(position.startLsn + BigInt(bytes.length))
      seen.wal.push(Buffer.from(bytes))
    },
    keepalive: ({ serverEndLsn }) => void seen.events.push(`keepalive ${serverEndLsn}`),
    copyDone: () => void seen.events.push('copyDone'),
  })
  void exchange.message(BACKEND.copyBothResponse, Buffer.alloc(3))
  return exchange
}

async function feed(
  exchange: WalExchange,
  message: Buffer,
  where: readonly number[],
): Promise<void> {
  exchange.copyBegin()
  await pushAll(cut(message, where), (piece) => exchange.copyPiece(piece))
  exchange.copyEnd()
}

describe('WAL exchange', () => {
  it('gives the same WAL for any split of the messages', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 8 }),
        places,
        async (pieces, where) => {
          const seen: Seen = { wal: [], events: [] }
          const exchange = start(seen)
          let lsn = 0x3000000n
          for (const wal of pieces) {
            await feed(exchange, walData(lsn, wal), where)
            lsn += BigInt(wal.length)
            await feed(exchange, keepalive(lsn), where)
          }
          assert.ok(Buffer.concat(seen.wal).equals(Buffer.concat(pieces)))
          assert.equal(seen.events.length, pieces.length + 1)
        },
      ),
    )
  })

  for (const [what, message] of [
    ['an unknown letter', Buffer.from('x123456')],
    ['an empty message', Buffer.alloc(0)],
    ['a keepalive that is too short', keepalive(1n).subarray(0, 10)],
    ['a keepalive that is too long', Buffer.concat([keepalive(1n), Buffer.of(0)])],
    ['a WAL header that is too short', walData(1n, Buffer.alloc(0)).subarray(0, 20)],
  ] as const) {
    it(`refuses ${what}`, async () => {
      const exchange = start({ wal: [], events: [] })
      await assert.rejects(feed(exchange, message, []), { code: 'POSTGRES_PROTOCOL' })
    })
  }

  it('refuses WAL after the end of the stream', async () => {
    const exchange = start({ wal: [], events: [] })
    void exchange.message(BACKEND.copyDone, Buffer.alloc(0))
    await assert.rejects(feed(exchange, walData(1n, Buffer.of(1)), []), {
      code: 'POSTGRES_PROTOCOL',
    })
  })
})
