import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { type ConnectionOptions, SSL_MODES } from '../../../src/wire/connection-options.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { SqlClient } from '../../../src/wire/sql-client.ts'
import { claimPort } from '../../harness/ports.ts'
import { matrixMajors, startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { installCertificates, makeCertificates } from './certificates.ts'
import { droppingSink } from './directory-sink.ts'

const PASSWORD = 'tls-test-secret'
const HBA = [
  'hostssl all,replication tls_only 127.0.0.1/32 scram-sha-256',
  'hostnossl all,replication tls_only 127.0.0.1/32 reject',
  'hostssl all,replication clear_only 127.0.0.1/32 reject',
  'hostnossl all,replication clear_only 127.0.0.1/32 scram-sha-256',
  'hostssl all,replication clear_text 127.0.0.1/32 password',
  'hostssl all,replication cert_role 127.0.0.1/32 cert',
]
const ROLES = ['tls_only', 'clear_only', 'clear_text', 'cert_role']
  .map((role) => `CREATE ROLE ${role} LOGIN REPLICATION PASSWORD '${PASSWORD}'`)
  .join('; ')

/** Whether each way's connection to the server is encrypted, as the server sees it. */
const WAYS = {
  replication: async (options: ConnectionOptions): Promise<boolean> => {
    await using connection = await ReplicationConnection.connect(options)
    await connection.identifySystem()
    return connection.isEncrypted
  },
  sql: async (options: ConnectionOptions): Promise<boolean> => {
    await using sql = await SqlClient.connect(options)
    const row = await sql.one<{ ssl: boolean }>(
      'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
    )
    return row.ssl
  },
} as const

for (const major of matrixMajors()) {
  describe(`TLS to PostgreSQL ${major}`, { concurrency: false }, async () => {
    const files = temporaryDirectory()
    const certificates = makeCertificates(files.path, major === 13 ? 'sha512' : 'sha256')
    const server = await startPostgres({
      major,
      hba: HBA,
      stopped: true,
      settings: { ssl: true, ssl_ca_file: 'root.crt' },
    })
    after(async () => {
      await server[Symbol.asyncDispose]()
      await files[Symbol.asyncDispose]()
    })
    installCertificates(certificates, server.directory)
    await server.start()
    await server.query(ROLES)
    const sslrootcert = certificates.authority
    const options = {
      host: 'localhost',
      port: server.port,
      user: 'tls_only',
      password: PASSWORD,
      database: 'postgres',
    }

    for (const [way, connect] of Object.entries(WAYS)) {
      it(`${way}: prefer and allow find the way that pg_hba.conf leaves open`, async () => {
        for (const sslmode of ['prefer', 'allow'] as const) {
          assert.equal(await connect({ ...options, sslmode }), true)
          assert.equal(await connect({ ...options, sslmode, user: 'clear_only' }), false)
        }
      })

      it(`${way}: disable and require do not give way`, async () => {
        await assert.rejects(connect({ ...options, sslmode: 'disable' }), { code: 'POSTGRES_HBA' })
        const refused = connect({ ...options, sslmode: 'require', user: 'clear_only' })
        await assert.rejects(refused, { code: 'POSTGRES_HBA' })
        assert.equal(await connect({ ...options, sslmode: 'require' }), true)
      })

      it(`${way}: verify-full takes the right host name only, verify-ca any`, async () => {
        const address = { ...options, host: '127.0.0.1', sslrootcert }
        assert.equal(await connect({ ...options, sslrootcert, sslmode: 'verify-full' }), true)
        await assert.rejects(connect({ ...address, sslmode: 'verify-full' }), (error) => {
          assert.ok(isBackstayError(error, 'POSTGRES_TLS'), String(error))
          return /certificate is for another host/.test(error.message)
        })
        assert.equal(await connect({ ...address, sslmode: 'verify-ca' }), true)
      })

      it(`${way}: a certificate of another authority is refused when asked to check`, async () => {
        await using other = temporaryDirectory()
        const wrong = { ...options, sslrootcert: makeCertificates(other.path).authority }
        for (const sslmode of ['verify-full', 'verify-ca', 'require'] as const) {
          await assert.rejects(connect({ ...wrong, sslmode }), { code: 'POSTGRES_TLS' })
        }
        assert.equal(await connect({ ...wrong, sslmode: 'prefer' }), true)
      })

      it(`${way}: a client certificate logs in`, async () => {
        const { clientCertificate: sslcert, clientKey: sslkey } = certificates
        const { password: _, ...withoutPassword } = { ...options, sslcert, sslkey }
        const mine = { ...withoutPassword, user: 'cert_role', sslmode: 'require' } as const
        assert.equal(await connect(mine), true)
        await assert.rejects(connect({ ...options, user: 'cert_role', sslmode: 'require' }))
      })

      it(`${way}: a clear text password is given over TLS whose certificate was checked`, async () => {
        const clear = { ...options, user: 'clear_text', sslmode: 'require' } as const
        await assert.rejects(connect(clear), { code: 'POSTGRES_AUTH', message: /clear text/ })
        assert.equal(await connect({ ...clear, sslrootcert, sslmode: 'verify-full' }), true)
      })
    }

    it('a base backup and WAL come through as they do without TLS', async () => {
      const receive = async (sslmode: 'require' | 'disable'): Promise<number> => {
        await using connection = await ReplicationConnection.connect({
          ...server.connection,
          sslmode,
        })
        let bytes = 0
        const sink = droppingSink({
          entry: async () => Promise.resolve(),
          data: (chunk) => {
            bytes += chunk.length
            return bytes % 3 === 0 ? Promise.resolve() : undefined
          },
        })
        await connection.baseBackup({ manifest: false }, sink)
        return bytes
      }
      const [encrypted, plain] = [await receive('require'), await receive('disable')]
      assert.ok(Math.abs(encrypted - plain) < 100_000, `${encrypted} and ${plain} bytes`)

      await using connection = await ReplicationConnection.connect({
        ...server.connection,
        sslmode: 'require',
      })
      const { flushLsn, timeline } = await connection.identifySystem()
      const received = Promise.withResolvers<void>()
      await using stream = await connection.startReplication(
        { startLsn: flushLsn, timeline, clock: systemClock },
        { data: () => received.resolve() },
      )
      await server.query('CREATE TABLE something ()')
      await received.promise
      await stream.stop()
    })

    it('an abort over TLS leaves no WAL sender', async () => {
      await using connection = await ReplicationConnection.connect({
        ...server.connection,
        sslmode: 'require',
      })
      const signal = AbortSignal.timeout(200)
      const backup = connection.baseBackup(
        { checkpoint: 'spread', maxRateBytes: 65_536, signal },
        droppingSink(),
      )
      await assert.rejects(backup, (error) => error === signal.reason)
      await using sql = await SqlClient.connect(server.connection)
      const rows = await sql.query(
        "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'walsender'",
      )
      assert.equal(rows.length, 0)
    })
  })
}

describe('TLS refused', () => {
  it('a server without TLS is POSTGRES_TLS when TLS is required', async () => {
    await using server = await startPostgres({ major: 18 })
    for (const connect of Object.values(WAYS)) {
      for (const sslmode of SSL_MODES) {
        const attempt = connect({ ...server.connection, sslmode, sslrootcert: 'system' })
        if (['disable', 'allow', 'prefer'].includes(sslmode)) assert.equal(await attempt, false)
        else await assert.rejects(attempt, { code: 'POSTGRES_TLS', message: /does not offer TLS/ })
      }
    }
  })

  it('text put between the answer and the encrypted part is refused', async () => {
    const port = await claimPort()
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.end('SInjected'))
    })
    await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
    try {
      const attempt = ReplicationConnection.connect({
        host: '127.0.0.1',
        port,
        user: 'x',
        sslmode: 'require',
      })
      await assert.rejects(attempt, { code: 'POSTGRES_PROTOCOL' })
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
  })
})
