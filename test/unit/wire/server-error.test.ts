import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { serverError } from '../../../src/wire/server-error.ts'

function errorFor(
  sqlstate: string,
  message: string,
  detail?: string,
): ReturnType<typeof serverError> {
  return serverError('Cannot do it on db1:5432', {
    severity: 'ERROR',
    sqlstate,
    message,
    detail,
    hint: undefined,
  })
}

describe('server error', () => {
  for (const [sqlstate, message, code] of [
    ['28P01', 'password authentication failed for user "x"', 'POSTGRES_AUTH'],
    ['28000', 'role "x" does not exist', 'POSTGRES_AUTH'],
    ['28000', 'no pg_hba.conf entry for replication connection from host "::1"', 'POSTGRES_HBA'],
    ['28000', 'pg_hba.conf rejects replication connection for host "::1"', 'POSTGRES_HBA'],
    ['28000', 'в pg_hba.conf нет записи для компьютера "::1"', 'POSTGRES_HBA'],
    ['42501', 'permission denied to start WAL sender', 'POSTGRES_AUTH'],
    ['53300', 'number of requested standby connections exceeds max_wal_senders', 'POSTGRES_LIMIT'],
    ['53400', 'all replication slots are in use', 'POSTGRES_LIMIT'],
    [
      '58P01',
      'requested WAL segment 00000001000000000000000A has already been removed',
      'WAL_UNAVAILABLE',
    ],
    [
      'XX000',
      'requested WAL segment 000000010000000000000002 has already been removed',
      'WAL_UNAVAILABLE',
    ],
    ['58P01', 'could not open file "base/1/2": No such file or directory', 'POSTGRES_QUERY'],
    ['55000', 'can no longer access replication slot "s"', 'WAL_UNAVAILABLE'],
    ['55000', 'WAL level not sufficient for making an online backup', 'POSTGRES_QUERY'],
    ['42704', 'replication slot "s" does not exist', 'SLOT_MISSING'],
    ['42704', 'type "s" does not exist', 'POSTGRES_QUERY'],
    ['55006', 'replication slot "s" is active for PID 7', 'SLOT_IN_USE'],
    ['55006', 'database "s" is being accessed by other users', 'POSTGRES_QUERY'],
    ['57P01', 'terminating connection due to administrator command', 'POSTGRES_CONNECTION_LOST'],
    ['57P03', 'the database system is starting up', 'POSTGRES_UNREACHABLE'],
    ['57014', 'canceling statement due to statement timeout', 'TIMEOUT'],
    ['57014', 'canceling statement due to user request', 'POSTGRES_QUERY'],
    ['3D000', 'database "x" does not exist', 'POSTGRES_QUERY'],
    [
      'XX000',
      "requested starting point 0/1 on timeline 1 is not in this server's history",
      'POSTGRES_IDENTITY',
    ],
    ['99999', 'something new', 'POSTGRES_QUERY'],
  ] as const) {
    it(`${sqlstate} «${message}» is ${code}`, () => {
      assert.equal(errorFor(sqlstate, message).code, code)
    })
  }

  it('can be retried while the server starts and when a slot is in use', () => {
    assert.ok(errorFor('57P03', 'the database system is starting up').retryable)
    assert.ok(errorFor('55006', 'replication slot "s" is active for PID 7').retryable)
    assert.ok(!errorFor('28P01', 'password authentication failed').retryable)
  })

  it('says action, text, detail and SQLSTATE on one line without a full stop', () => {
    const error = errorFor('42710', 'it exists', 'Line one.\n  Line two.')
    assert.equal(
      error.message,
      'Cannot do it on db1:5432: it exists: Line one. Line two (SQLSTATE 42710)',
    )
    assert.deepEqual(error.details, {
      sqlstate: '42710',
      severity: 'ERROR',
      message: 'it exists',
      detail: 'Line one.\n  Line two.',
    })
  })

  it("prefers the server's hint", () => {
    const server = {
      severity: 'ERROR',
      sqlstate: '28P01',
      message: 'no',
      detail: undefined,
      hint: 'Do it',
    }
    assert.equal(serverError('Cannot', server).hint, 'Do it')
  })
})
