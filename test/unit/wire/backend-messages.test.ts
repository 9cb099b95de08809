import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import {
  decodeAuthentication,
  decodeBackendKey,
  decodeColumnNames,
  decodeDataRow,
  decodeParameterStatus,
  decodeServerMessage,
} from '../../../src/wire/backend-messages.ts'
import { decodeKeepalive, decodeWalHeader } from '../../../src/wire/wal-messages.ts'

const DECODERS = {
  decodeAuthentication,
  decodeBackendKey,
  decodeColumnNames,
  decodeDataRow,
  decodeParameterStatus,
  decodeServerMessage,
  decodeKeepalive,
  decodeWalHeader,
} as const

describe('decoders of server messages', () => {
  for (const [name, decode] of Object.entries(DECODERS)) {
    it(`${name} answers any bytes with a value or POSTGRES_PROTOCOL`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
          try {
            decode(Buffer.from(bytes))
          } catch (error) {
            assert.ok(isBackstayError(error, 'POSTGRES_PROTOCOL'), String(error))
          }
        }),
        { numRuns: 500 },
      )
    })
  }

  it('authentication requests are told apart', () => {
    const request = (hex: string): unknown => decodeAuthentication(Buffer.from(hex, 'hex'))
    assert.deepEqual(request('00000000'), { kind: 'ok' })
    assert.deepEqual(request('00000003'), { kind: 'cleartext' })
    assert.deepEqual(request('0000000501020304'), { kind: 'md5', salt: Buffer.of(1, 2, 3, 4) })
    assert.deepEqual(request('0000000a6100620000'), { kind: 'sasl', mechanisms: ['a', 'b'] })
    assert.deepEqual(request('00000007'), { kind: 'unsupported', number: 7 })
  })

  it('an error keeps its fields and prefers the severity that is never translated', () => {
    const payload = Buffer.from('SОШИБКА\0VERROR\0C42P01\0Mnot there\0Dd\0Hh\0Ffile.c\0\0')
    assert.deepEqual(decodeServerMessage(payload), {
      severity: 'ERROR',
      sqlstate: '42P01',
      message: 'not there',
      detail: 'd',
      hint: 'h',
    })
  })

  it('a row tells NULL from the empty text, and is no view', () => {
    const payload = Buffer.from('0003ffffffff00000000000000026162', 'hex')
    const row = decodeDataRow(payload)
    payload.fill(0)
    assert.deepEqual(row, [undefined, Buffer.alloc(0), Buffer.from('ab')])
  })
})
