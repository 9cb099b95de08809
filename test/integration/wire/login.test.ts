import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { ErrorCode } from '../../../src/errors/codes.ts'
import { renderErrorText } from '../../../src/errors/render.ts'
import type { ConnectionOptions } from '../../../src/wire/connection-options.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { withSql } from '../../../src/wire/sql-client.ts'
import { claimPort } from '../../harness/ports.ts'
import { matrixMajors, startPostgres, temporaryDirectory } from '../../harness/postgres.ts'

const PASSWORD = 'wire-test-secret Ⅸ'
const ROLES = `
  SET password_encryption = 'scram-sha-256';
  CREATE ROLE scram_role LOGIN REPLICATION PASSWORD '${PASSWORD}';
  CREATE ROLE clear_role LOGIN REPLICATION PASSWORD '${PASSWORD}';
  CREATE ROLE refused_role LOGIN REPLICATION PASSWORD '${PASSWORD}';
  CREATE ROLE plain_role LOGIN PASSWORD '${PASSWORD}';
  CREATE ROLE trust_role LOGIN REPLICATION;
  SET password_encryption = 'md5';
  CREATE ROLE md5_role LOGIN REPLICATION PASSWORD '${PASSWORD}'`
const HBA = [
  'local all,replication scram_role scram-sha-256',
  'local all,replication md5_role md5',
  'local all,replication clear_role password',
  'local all,replication trust_role trust',
  'host all,replication scram_role 127.0.0.1/32 scram-sha-256',
  'host all,replication md5_role 127.0.0.1/32 md5',
  'host all,replication clear_role 127.0.0.1/32 password',
  'host all,replication trust_role 127.0.0.1/32 trust',
  'host all,replication refused_role 127.0.0.1/32 reject',
]

/** Both ways of connecting, as one function each: resolves with the server's major. */
const WAYS = {
  replication: async (options: ConnectionOptions): Promise<number> => {
    await using connection = await ReplicationConnection.connect(options)
    await connection.identifySystem()
    return connection.major
  },
  sql: async (options: ConnectionOptions): Promise<number> =>
    withSql(options, async (sql) => {
      await sql.query('SELECT 1')
      return sql.major
    }),
} as const

async function assertFails(
  attempt: Promise<unknown>,
  code: ErrorCode,
  text: RegExp,
): Promise<void> {
  await assert.rejects(attempt, (error) => {
    assert.ok(isBackstayError(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, text)
    assert.ok(!renderErrorText(error).includes('wire-test-secret'), 'the password is in the error')
    return true
  })
}

for (const major of matrixMajors()) {
  describe(`login on PostgreSQL ${major}`, { concurrency: false }, async () => {
    const server = await startPostgres({ major, hba: HBA, settings: { max_wal_senders: 2 } })
    after(async () => server[Symbol.asyncDispose]())
    await server.query(ROLES)
    const tcp = { host: server.host, port: server.port, password: PASSWORD, database: 'postgres' }
    const socket = { ...tcp, host: server.socketDirectory }

    for (const [way, connect] of Object.entries(WAYS)) {
      for (const user of ['scram_role', 'md5_role', 'trust_role']) {
        it(`${way}: ${user} logs in over TCP and over the Unix socket`, async () => {
          assert.equal(await connect({ ...tcp, user }), major)
          assert.equal(await connect({ ...socket, user }), major)
        })
      }

      it(`${way}: a clear text password goes only where it is asked for by name`, async () => {
        for (const place of [socket, tcp]) {
          const clear = { ...place, user: 'clear_role' }
          await assertFails(connect(clear), 'POSTGRES_AUTH', /clear text/)
          assert.equal(await connect({ ...clear, requireAuth: ['password'] }), major)
        }
      })

      it(`${way}: a wrong password is POSTGRES_AUTH`, async () => {
        for (const user of ['scram_role', 'md5_role']) {
          const attempt = connect({ ...tcp, user, password: 'wire-test-secret wrong' })
          await assertFails(attempt, 'POSTGRES_AUTH', new RegExp(`${user}.*28P01`))
        }
      })

      it(`${way}: a refusal by pg_hba.conf is POSTGRES_HBA`, async () => {
        await assertFails(connect({ ...tcp, user: 'refused_role' }), 'POSTGRES_HBA', /pg_hba\.conf/)
      })

      it(`${way}: without a password the error says which line is missing`, async () => {
        const { password: _, ...withoutPassword } = tcp
        const attempt = connect({ ...withoutPassword, user: 'scram_role' })
        await assertFails(attempt, 'POSTGRES_AUTH', /asks for a password and none was given/)
      })

      it(`${way}: the password file is used when nobody else can read it`, async () => {
        await using directory = temporaryDirectory()
        const passfile = join(directory.path, 'pgpass')
        const database = way === 'sql' ? 'postgres' : 'replication'
        await writeFile(passfile, `${tcp.host}:${tcp.port}:${database}:scram_role:${PASSWORD}\n`)
        const { password: _, ...withoutPassword } = tcp
        const options = { ...withoutPassword, user: 'scram_role', passfile }
        await chmod(passfile, 0o640)
        await assertFails(connect(options), 'POSTGRES_AUTH', /group or others may read it/)
        await chmod(passfile, 0o600)
        assert.equal(await connect(options), major)
        await assertFails(connect({ ...options, user: 'md5_role' }), 'POSTGRES_AUTH', /has none/)
      })

      it(`${way}: nobody at the port is POSTGRES_UNREACHABLE`, async () => {
        const attempt = connect({ ...tcp, port: await claimPort(), user: 'trust_role' })
        await assertFails(attempt, 'POSTGRES_UNREACHABLE', /127\.0\.0\.1:\d+.*nothing listens/)
      })
    }

    it('a role without REPLICATION is refused in words', async () => {
      const attempt = WAYS.replication({ ...tcp, user: 'plain_role', sslmode: 'disable' })
      await assertFails(attempt, 'POSTGRES_AUTH', /plain_role/)
    })

    it('no free WAL sender is POSTGRES_LIMIT', async () => {
      const trusted = { ...tcp, user: 'trust_role', sslmode: 'disable' } as const
      await using _one = await ReplicationConnection.connect(trusted)
      await using _two = await ReplicationConnection.connect(trusted)
      await assertFails(WAYS.replication(trusted), 'POSTGRES_LIMIT', /max_wal_senders/)
    })
  })
}

describe('somebody else at the port', () => {
  for (const [way, connect] of Object.entries(WAYS)) {
    it(`${way}: a listener that never answers is given up in time`, async () => {
      await using listener = await listen(() => undefined)
      const started = performance.now()
      const attempt = connect({ ...listener.address, user: 'x', connectTimeoutMs: 300 })
      await assertFails(attempt, 'POSTGRES_UNREACHABLE', /no answer within 0\.3 s/)
      assert.ok(performance.now() - started < 3000)
    })

    it(`${way}: the caller's abort reason is what is thrown`, async () => {
      await using listener = await listen(() => undefined)
      const signal = AbortSignal.timeout(100)
      const attempt = connect({ ...listener.address, user: 'x', signal })
      await assert.rejects(attempt, (error) => error === signal.reason)
    })

    it(`${way}: a listener that hangs up is POSTGRES_CONNECTION_LOST`, async () => {
      await using listener = await listen((socket) => socket.end())
      const attempt = connect({ ...listener.address, user: 'x', sslmode: 'disable' })
      await assertFails(attempt, 'POSTGRES_CONNECTION_LOST', /Cannot/)
    })
  }

  it('an HTTP server is POSTGRES_PROTOCOL', async () => {
    await using listener = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    for (const sslmode of ['disable', 'prefer'] as const) {
      const attempt = WAYS.replication({ ...listener.address, user: 'x', sslmode })
      await assertFails(attempt, 'POSTGRES_PROTOCOL', /PostgreSQL's/)
    }
  })
})

interface Listener extends AsyncDisposable {
  readonly address: { host: string; port: number }
}

async function listen(onConnection: (socket: Socket) => void): Promise<Listener> {
  const port = await claimPort()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).resume()
    onConnection(socket)
  })
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  return {
    address: { host: '127.0.0.1', port },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
