import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  encodeCancelRequest,
  encodeCopyData,
  encodeCopyDone,
  encodeCopyFail,
  encodePassword,
  encodeQuery,
  encodeSaslInitial,
  encodeSaslResponse,
  encodeSslRequest,
  encodeStartup,
  encodeTerminate,
} from '../../../src/wire/frontend-messages.ts'

const text = (hex: Buffer): string => hex.toString('latin1')

describe('client messages', () => {
  it('have the bytes of the protocol documentation', () => {
    assert.equal(
      text(encodeStartup({ user: 'a', x: 'y' })),
      '\0\0\0\x14\0\x03\0\0user\0a\0x\0y\0\0',
    )
    assert.equal(encodeSslRequest().toString('hex'), '0000000804d2162f')
    const key = { processId: 7, secret: Buffer.of(1, 2, 3, 4) }
    assert.equal(encodeCancelRequest(key).toString('hex'), '0000001004d2162e0000000701020304')
    assert.equal(text(encodePassword('pw')), 'p\0\0\0\x07pw\0')
    assert.equal(text(encodeSaslInitial('M', 'ré')), 'p\0\0\0\x0dM\0\0\0\0\x03r\xc3\xa9')
    assert.equal(text(encodeSaslResponse('r')), 'p\0\0\0\x05r')
    assert.equal(text(encodeQuery('SHOW x')), 'Q\0\0\0\x0bSHOW x\0')
    assert.equal(text(encodeCopyData(Buffer.from('ab'))), 'd\0\0\0\x06ab')
    assert.equal(text(encodeCopyDone()), 'c\0\0\0\x04')
    assert.equal(text(encodeCopyFail('no')), 'f\0\0\0\x07no\0')
    assert.equal(text(encodeTerminate()), 'X\0\0\0\x04')
  })
})
