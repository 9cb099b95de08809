import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BackstayError } from '../../../src/errors/backstay-error.ts'
import { networkError } from '../../../src/wire/network-error.ts'

describe('network error', () => {
  for (const [errno, code] of [
    ['ECONNREFUSED', 'POSTGRES_UNREACHABLE'],
    ['EHOSTUNREACH', 'POSTGRES_UNREACHABLE'],
    ['ENOTFOUND', 'POSTGRES_UNREACHABLE'],
    ['ENOENT', 'POSTGRES_UNREACHABLE'],
    ['ECONNRESET', 'POSTGRES_CONNECTION_LOST'],
    ['EPIPE', 'POSTGRES_CONNECTION_LOST'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'POSTGRES_TLS'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'POSTGRES_TLS'],
    ['CERT_HAS_EXPIRED', 'POSTGRES_TLS'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'POSTGRES_TLS'],
    ['EWHATEVER', 'POSTGRES_UNREACHABLE'],
  ] as const) {
    it(`${errno} is ${code}`, () => {
      const cause = Object.assign(new Error('text of the system'), { code: errno })
      const error = networkError('Cannot connect to db1:5432', cause)
      assert.equal(error.code, code)
      assert.match(error.message, /^Cannot connect to db1:5432: ./)
      assert.equal(error.cause, cause)
    })
  }

  it('leaves an error of ours as it is', () => {
    const error = new BackstayError('TIMEOUT', 'x')
    assert.equal(networkError('Cannot connect', error), error)
  })
})
