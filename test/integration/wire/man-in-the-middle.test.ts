/**
 * What somebody between us and a real PostgreSQL gets: nothing, for either kind of connection.
 */
import assert from 'node:assert/strict'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { ConnectionOptions } from '../../../src/wire/connection-options.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { withSql } from '../../../src/wire/sql-client.ts'
import { startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { installCertificates, makeCertificates } from './certificates.ts'
import { type MiddleOptions, startMiddle } from './man-in-the-middle.ts'

const PASSWORD = 'middle-test-secret'

const WAYS = {
  replication: async (options: ConnectionOptions): Promise<void> => {
    await using connection = await ReplicationConnection.connect(options)
    await connection.identifySystem()
  },
  sql: async (options: ConnectionOptions): Promise<void> =>
    withSql(options, async (sql) => void (await sql.query('SELECT 1'))),
} as const

describe('somebody in the middle', { concurrency: false }, async () => {
  const files = temporaryDirectory()
  const certificates = makeCertificates(files.path)
  const forged = { cert: certificates.clientCertificate, key: certificates.clientKey }
  const server = await startPostgres({
    major: 18,
    stopped: true,
    settings: { ssl: true, ssl_ca_file: 'root.crt' },
    hba: ['host all,replication role 127.0.0.1/32 scram-sha-256'],
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await files[Symbol.asyncDispose]()
  })
  installCertificates(certificates, server.directory)
  await server.start()
  await server.query(`CREATE ROLE role LOGIN REPLICATION PASSWORD '${PASSWORD}'`)
  const login = { user: 'role', password: PASSWORD, database: 'postgres' }

  /** Connects through the middle; how it ended, and what the middle heard. */
  async function through(
    connect: (options: ConnectionOptions) => Promise<void>,
    middle: Omit<MiddleOptions, 'server'>,
    options: Partial<ConnectionOptions>,
  ): Promise<{ error: unknown; heard: string }> {
    await using one = await startMiddle({ ...middle, server })
    const error: unknown = await connect({
      ...login,
      host: one.host,
      port: one.port,
      connectTimeoutMs: 5000,
      ...options,
    }).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    return { error, heard: one.heard().toString('latin1') }
  }

  function assertRefused(got: { error: unknown; heard: string }, text: RegExp): void {
    assert.ok(isBackstayError(got.error, 'POSTGRES_AUTH'), String(got.error))
    assert.match(got.error.message, text)
    assert.ok(!got.heard.includes(PASSWORD), 'the password was told')
    assert.ok(!got.heard.includes('SELECT') && !got.heard.includes('IDENTIFY'), got.heard)
  }

  for (const [way, connect] of Object.entries(WAYS)) {
    for (const certificate of [undefined, forged]) {
      const over = certificate === undefined ? 'without TLS' : 'over unverified TLS'
      const base = { sslmode: certificate === undefined ? 'prefer' : 'require' } as const

      it(`${way} ${over}: the password is not told in clear text`, async () => {
        const middle = { tampering: 'clear-text', ...(certificate && { certificate }) } as const
        assertRefused(await through(connect, middle, base), /clear text/)
        const scram = { ...base, requireAuth: ['scram-sha-256'] } as const
        assertRefused(await through(connect, middle, scram), /clear text, allowed is scram/)
      })

      it(`${way} ${over}: where SCRAM is asked for, neither md5 nor an open door is taken`, async () => {
        const scram = { ...base, requireAuth: ['scram-sha-256'] } as const
        for (const [tampering, text] of [
          ['md5', /md5 of the password, allowed is scram/],
          ['let-in', /lets us in without a proof/],
          ['skip-proof', /skipped its own proof/],
        ] as const) {
          const middle = { tampering, ...(certificate && { certificate }) }
          assertRefused(await through(connect, middle, scram), text)
        }
      })

      it(`${way} ${over}: nothing is asked of a server that is ready without a login`, async () => {
        const middle = { tampering: 'ready', ...(certificate && { certificate }) } as const
        const { error, heard } = await through(connect, middle, base)
        assert.ok(isBackstayError(error, 'POSTGRES_PROTOCOL'), String(error))
        assert.equal(heard, '')
      })
    }

    it(`${way}: a login that is bound to its channel cannot be relayed through another`, async () => {
      const middle = { tampering: 'relay', certificate: forged } as const
      const bound = { sslmode: 'require', channelBinding: 'require' } as const
      assertRefused(await through(connect, middle, bound), /bound.*something may stand in between/)
      // The real server proves itself on the same terms.
      await connect({ ...login, host: server.host, port: server.port, ...bound })
      const plain = { ...bound, sslmode: 'disable' } as const
      assertRefused(await through(connect, { tampering: 'relay' }, plain), /not encrypted/)
    })

    it(`${way}: clear text is told to a server that proved who it is, and where it is asked for by name`, async () => {
      await using clear = await startPostgres({
        major: 18,
        stopped: true,
        settings: { ssl: true, ssl_ca_file: 'root.crt' },
        hba: ['host all,replication role all password', 'local all,replication role password'],
      })
      installCertificates(certificates, clear.directory)
      await clear.start()
      await clear.query(`CREATE ROLE role LOGIN REPLICATION PASSWORD '${PASSWORD}'`)
      const there = { ...login, host: 'localhost', port: clear.port }
      const sslrootcert = certificates.authority
      await connect({ ...there, sslmode: 'verify-full', sslrootcert })
      await connect({ ...there, requireAuth: ['password'] })
      for (const sslmode of ['require', 'verify-ca'] as const) {
        const attempt = connect({ ...there, sslmode, sslrootcert })
        await assert.rejects(attempt, { code: 'POSTGRES_AUTH', message: /certificate was not/ })
      }
      const socket = { ...there, host: clear.socketDirectory }
      await assert.rejects(connect(socket), { code: 'POSTGRES_AUTH', message: /clear text/ })
    })

    it(`${way}: who squats a Unix socket is told nothing, and not believed`, async (t) => {
      await using directory = temporaryDirectory()
      const socket = join(directory.path, '.s.PGSQL.5432')
      const there = { host: directory.path, port: 5432 }
      const scram = { ...there, requireAuth: ['scram-sha-256'] } as const
      const asked = await through(connect, { tampering: 'clear-text', socket }, there)
      assertRefused(asked, /clear text/)
      if (!isRoot) return t.skip('only root can give a socket to somebody else')
      await using _squatter = await startMiddle({ tampering: 'let-in', socket, server })
      chownSync(socket, unprivilegedUser.uid, unprivilegedUser.gid)
      const attempt = connect({ ...login, ...scram })
      await assert.rejects(attempt, { code: 'POSTGRES_AUTH', message: /without a proof/ })
    })

    it(`${way}: a server on a Unix socket of its owner may say trust`, async () => {
      const options = {
        ...server.connection,
        host: server.socketDirectory,
        requireAuth: ['scram-sha-256'],
      } as const
      await using trusting = await startPostgres({
        major: 18,
        hba: ['local all,replication all trust'],
      })
      const there = { ...options, host: trusting.socketDirectory, port: trusting.port }
      await connect({ ...there, ownSocket: async () => Promise.resolve('the same') })
      const attempt = connect({ ...there, ownSocket: async () => Promise.resolve(undefined) })
      await assert.rejects(attempt, { code: 'POSTGRES_AUTH', message: /without a proof/ })
    })
  }
})
