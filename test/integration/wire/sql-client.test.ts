import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { parseLsn } from '../../../src/postgres/lsn.ts'
import { SqlClient, withSql } from '../../../src/wire/sql-client.ts'
import { matrixMajors, startPostgres } from '../../harness/postgres.ts'
import { until } from '../../harness/until.ts'

for (const major of matrixMajors()) {
  describe(`SQL to PostgreSQL ${major}`, { concurrency: false }, async () => {
    const server = await startPostgres({ major })
    after(async () => server[Symbol.asyncDispose]())

    it('rows come typed: exact numbers, LSNs, long identifiers as text', async () => {
      await withSql(server.connection, async (sql) => {
        assert.equal(sql.major, major)
        const row = await sql.one(
          `SELECT 42::int8 AS small, 7710915586748583284::int8 AS big, '16/B374D848'::pg_lsn AS lsn,
                  NULL::pg_lsn AS nothing, $1::text AS text, true AS flag`,
          ['given'],
        )
        assert.deepEqual(row, {
          small: 42,
          big: '7710915586748583284',
          lsn: parseLsn('16/B374D848'),
          nothing: null,
          text: 'given',
          flag: true,
        })
      })
    })

    it('of several statements the rows of the last come; of none, none', async () => {
      await withSql(server.connection, async (sql) => {
        assert.deepEqual(await sql.query('SELECT 1 AS a; SELECT 2 AS b'), [{ b: 2 }])
        assert.deepEqual(await sql.query('SET work_mem = 1024'), [])
        await assert.rejects(sql.one('SELECT generate_series(1, 3)'), /3 rows where one/)
      })
    })

    it('concurrent calls run one after another, past a failure', async () => {
      await withSql(server.connection, async (sql) => {
        const results = await Promise.allSettled([
          sql.one('SELECT 1 AS n, pg_sleep(0.05)'),
          sql.query('SELECT * FROM no_such_table'),
          sql.one('SELECT 3 AS n'),
        ])
        assert.deepEqual(
          results.map(({ status }) => status),
          ['fulfilled', 'rejected', 'fulfilled'],
        )
      })
    })

    it('shows up as backstay unless named otherwise', async () => {
      const name = 'SELECT current_setting($1) AS name'
      const show = async (options = {}): Promise<unknown> =>
        withSql({ ...server.connection, ...options }, async (sql) =>
          sql.one(name, ['application_name']),
        )
      assert.deepEqual(await show(), { name: 'backstay' })
      assert.deepEqual(await show({ applicationName: 'other' }), { name: 'other' })
    })

    it('a refused statement is POSTGRES_QUERY with its SQLSTATE', async () => {
      await withSql(server.connection, async (sql) => {
        await assert.rejects(sql.query('SELECT * FROM no_such_table'), (error) => {
          assert.ok(isBackstayError(error, 'POSTGRES_QUERY'))
          assert.equal(error.details['sqlstate'], '42P01')
          return /^Cannot query 127\.0\.0\.1:\d+: relation "no_such_table" does not exist/.test(
            error.message,
          )
        })
      })
    })

    it('a statement longer than its timeout is TIMEOUT, and the connection goes on', async () => {
      await withSql({ ...server.connection, statementTimeoutMs: 100 }, async (sql) => {
        await assert.rejects(sql.query('SELECT pg_sleep(10)'), { code: 'TIMEOUT' })
        assert.deepEqual(await sql.query('SELECT 1 AS n'), [{ n: 1 }])
      })
    })

    it('an abort ends a running statement with the reason, on the server too', async () => {
      const abort = new AbortController()
      const options = { ...server.connection, applicationName: 'aborted', signal: abort.signal }
      await using sql = await SqlClient.connect(options)
      const running = sql.query('SELECT pg_sleep(0.5), pg_advisory_lock(1)')
      abort.abort(new Error('enough'))
      await assert.rejects(running, /enough/)
      await assert.rejects(sql.query('SELECT 1'), /enough/)
      await until('the session to end', async () => {
        const query = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'aborted'"
        return (await server.query(query)).length === 0
      })
    })

    it('a missing database says so', async () => {
      const attempt = withSql({ ...server.connection, database: 'nowhere' }, async () => 1)
      await assert.rejects(attempt, /database "nowhere" does not exist \(SQLSTATE 3D000\)/)
    })

    it('a server that goes away is POSTGRES_CONNECTION_LOST, now and afterwards', async () => {
      await using sql = await SqlClient.connect(server.connection)
      const running = sql.query('SELECT pg_sleep(10)')
      const ended = assert.rejects(running, { code: 'POSTGRES_CONNECTION_LOST' })
      await server.stop('fast')
      await ended
      await assert.rejects(sql.query('SELECT 1'), { code: 'POSTGRES_CONNECTION_LOST' })
      const attempt = SqlClient.connect(server.connection)
      await assert.rejects(attempt, { code: 'POSTGRES_UNREACHABLE' })
    })
  })
}
