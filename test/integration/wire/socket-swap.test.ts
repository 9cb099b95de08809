/**
 * Who listened on a Unix socket when the connection was made vouches for it, not who has it in the end: a squatter lets us in without a
 * proof, and makes room for the real server before anybody looks at the socket's owner.
 */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, renameSync, unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { LocalHost } from '../../../src/host/local-host.ts'
import type { ConnectionOptions } from '../../../src/wire/connection-options.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { withSql } from '../../../src/wire/sql-client.ts'
import { STRANGER } from '../../harness/other-user.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot } from '../../harness/unprivileged-user.ts'
import { LET_IN } from './man-in-the-middle.ts'

const PORT = 5432
const NAME = `.s.PGSQL.${PORT}`

const WAYS = {
  replication: async (options: ConnectionOptions): Promise<void> => {
    await using _connection = await ReplicationConnection.connect(options)
  },
  sql: async (options: ConnectionOptions): Promise<void> => withSql(options, async () => undefined),
} as const

interface Listener {
  readonly server: Server
  readonly sockets: Set<Socket>
}

async function listen(path: string, answer: () => Promise<void>): Promise<Listener> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => void answer().then(() => socket.write(LET_IN)))
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return { server, sockets }
}

async function close(listener: Listener | undefined): Promise<void> {
  if (listener === undefined) return
  for (const socket of listener.sockets) socket.destroy()
  await new Promise((resolve) => listener.server.close(resolve))
}

const login = { user: 'role', password: 'never told', requireAuth: ['scram-sha-256'] } as const

for (const [way, connect] of Object.entries(WAYS)) {
  describe(way, { skip: !isRoot && 'needs root' }, () => {
    it('believes no squatter who gives the socket up while we connect', async () => {
      await using base = temporaryDirectory()
      const path = join(base.path, NAME)
      let real: Listener | undefined
      const squatter = await listen(path, async () => {
        unlinkSync(path)
        real = await listen(path, async () => undefined)
      })
      chownSync(path, STRANGER.uid, STRANGER.gid)
      const attempt = connect({ ...login, host: base.path, port: PORT })
      await assert.rejects(attempt, { code: 'POSTGRES_AUTH', message: /without a proof/ })
      assert.notEqual(real, undefined, 'the socket was exchanged')
      await close(squatter)
      await close(real)
    })

    it('believes no socket that was made anew while we connected', async () => {
      await using base = temporaryDirectory()
      const path = join(base.path, NAME)
      let second: Listener | undefined
      const first = await listen(path, async () => {
        renameSync(path, `${path}.old`)
        second = await listen(path, async () => undefined)
      })
      const attempt = connect({ ...login, host: base.path, port: PORT })
      await assert.rejects(attempt, { code: 'POSTGRES_AUTH', message: /exchanged while/ })
      await close(first)
      await close(second)
    })

    it('believes no socket in a directory in which others can exchange it and put it back', async () => {
      await using base = temporaryDirectory()
      const path = join(base.path, NAME)
      chmodSync(base.path, 0o777)
      const server = await listen(path, async () => undefined)
      const there = { ...login, host: base.path, port: PORT }
      await assert.rejects(connect(there), { code: 'POSTGRES_AUTH', message: /without a proof/ })
      chmodSync(base.path, 0o1777)
      // Believed now, and asked what it does not answer.
      const believed = connect({ ...there, connectTimeoutMs: 2000 })
      await assert.rejects(believed, { code: 'POSTGRES_UNREACHABLE' })
      await close(server)
    })
  })
}

it('a socket that is made anew has another identity', async () => {
  await using base = temporaryDirectory()
  const path = join(base.path, NAME)
  const host = new LocalHost('here')
  const seen = new Set<string | undefined>()
  for (let round = 0; round < 3; round++) {
    const server = await listen(path, async () => undefined)
    seen.add((await host.inspect(path))?.identity)
    await close(server)
  }
  assert.equal(seen.size, 3)
})
