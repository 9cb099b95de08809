import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeServer, socketPath } from '../../../src/wire/server-address.ts'

describe('server address', () => {
  it('reads as host and port, IPv6 in brackets, Unix sockets as their file', () => {
    assert.equal(describeServer({ host: 'db1', port: 5432 }), 'db1:5432')
    const way = { host: '/tmp/backstay-ssh-x', port: 5432, label: '"db1" (10.0.0.1:5432)' }
    assert.equal(describeServer(way), '"db1" (10.0.0.1:5432)')
    assert.equal(describeServer({ host: '::1', port: 5432 }), '[::1]:5432')
    assert.equal(describeServer({ host: '/run/pg', port: 5433 }), '/run/pg/.s.PGSQL.5433')
    assert.equal(socketPath({ host: '/run/pg/', port: 5433 }), '/run/pg/.s.PGSQL.5433')
  })
})
