/**
 * A server that sends without end, or makes the client compute without end: it is left soon, and with little memory.
 */
import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { chooseServer } from '../../../src/wal/choose-server.ts'
import type { ConnectionOptions } from '../../../src/wire/connection-options.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { SqlClient, withSql } from '../../../src/wire/sql-client.ts'
import { claimPort } from '../../harness/ports.ts'
import { startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { installCertificates, makeCertificates } from './certificates.ts'
import { droppingSink } from './directory-sink.ts'
import { message } from './backend-bytes.ts'

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const int16 = (value: number): Buffer => int32(value).subarray(2)
const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const READY = message('Z', Buffer.from('I'))
const LOGIN = Buffer.concat([
  message('R', int32(0)),
  message('S', text('server_version'), text('18.0')),
  message('K', int32(1), int32(1)),
  READY,
])
const columns = (...names: string[]): Buffer =>
  message('T', int16(names.length), ...names.flatMap((name) => [text(name), Buffer.alloc(18)]))
const row = (...values: string[]): Buffer =>
  message('D', int16(values.length), ...values.flatMap((v) => [int32(v.length), Buffer.from(v)]))
const DONE = message('C', text('DONE'))

/** A server that lets in and answers each query as `answer` says; keeps sending `flood` after it. */
async function hostile(
  answer: (query: string) => Buffer,
  flood?: Buffer,
): Promise<AsyncDisposable & { readonly options: ConnectionOptions; say(bytes: Buffer): void }> {
  const port = await claimPort()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => {
      socket.write(LOGIN)
      socket.on('data', (chunk: Buffer) => {
        const query = chunk.toString('latin1', 5)
        socket.write(answer(query))
        if (flood === undefined || query.startsWith('SHOW idle')) return
        const pump = (): void => {
          while (socket.writable && socket.write(flood));
          if (socket.writable) socket.once('drain', pump)
        }
        pump()
      })
    })
  })
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  return {
    options: { host: '127.0.0.1', port, user: 'x', sslmode: 'disable' },
    say: (bytes) => sockets.forEach((socket) => socket.writable && socket.write(bytes)),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const idle = Buffer.concat([columns('idle_session_timeout'), row('0'), DONE, READY])
const otherwise = (head: Buffer) => (query: string) => (query.startsWith('SHOW idle') ? idle : head)

/** Runs it, and says by how much memory grew meanwhile at most. */
async function grownBy(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss()
  let most = before
  const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 20)
  await work().finally(() => clearInterval(timer))
  return most - before
}

const PROTOCOL = { code: 'POSTGRES_PROTOCOL' }
const MEMORY_MAX = 400 * 1024 * 1024

describe('a server that sends without end', () => {
  const big = 'x'.repeat(900_000)
  const floods: readonly [string, Buffer, Buffer][] = [
    ['rows', columns('systemid'), row(big)],
    ['settings', Buffer.alloc(0), message('S', text('a'), text(big))],
  ]
  for (const [what, head, flood] of floods) {
    it(`is left for its ${what}`, async () => {
      await using server = await hostile(otherwise(head), flood)
      await using connection = await ReplicationConnection.connect(server.options)
      const grown = await grownBy(async () => assert.rejects(connection.identifySystem(), PROTOCOL))
      assert.ok(grown < MEMORY_MAX, `${grown} bytes`)
    })
  }

  it('is left for settings of ever other names', async () => {
    const many = Array.from({ length: 1000 }, (_, n) => message('S', text(`a${n}`), text('b')))
    await using server = await hostile(otherwise(Buffer.concat(many)))
    await using connection = await ReplicationConnection.connect(server.options)
    await assert.rejects(connection.identifySystem(), PROTOCOL)
  })

  const position = [columns('recptr', 'tli'), row('0/1000000', '1'), DONE]
  const spaces = columns('spcoid', 'spclocation', 'size')
  it('is left for its tablespaces', async () => {
    const rows = Array.from({ length: 20_000 }, (_, n) => row(`${n + 1}`, '/x', '1'))
    await using server = await hostile(otherwise(Buffer.concat([...position, spaces, ...rows])))
    await using connection = await ReplicationConnection.connect(server.options)
    const backup = connection.baseBackup({ manifest: false }, droppingSink())
    await assert.rejects(backup, { ...PROTOCOL, message: /too many tablespaces/ })
  })

  for (const oid of ['../x', '0', '-1', '1.5', '1e400', '4294967296']) {
    it(`is left for a tablespace of the number ${oid}`, async () => {
      const head = [...position, spaces, row(oid, '/x', '1')]
      await using server = await hostile(otherwise(Buffer.concat(head)))
      await using connection = await ReplicationConnection.connect(server.options)
      const backup = connection.baseBackup({ manifest: false }, droppingSink())
      await assert.rejects(backup, { ...PROTOCOL, message: /the oid of a tablespace is none/ })
    })
  }

  for (const name of ['global/pg_control', 'backup_label', 'tablespace_map']) {
    it(`is left for a ${name} of eight gibibytes`, async () => {
      const header = Buffer.alloc(512)
      header.write(name)
      header.write('0000600\0', 100)
      header.write('0000000\0', 108)
      header.write('0000000\0', 116)
      header.write('77777777777\0', 124)
      header.write('00000000000\0', 136)
      header.write('        0', 148)
      header.write('ustar\u000000', 257)
      const sum = header.reduce((total, byte) => total + byte, 0)
      header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
      const archive = [
        message('H', Buffer.alloc(3)),
        message('d', Buffer.from('n'), text('base.tar'), text('')),
        message('d', Buffer.from('d'), header),
      ]
      const head = [...position, spaces, row('', '', '1'), DONE, ...archive]
      await using server = await hostile(otherwise(Buffer.concat(head)))
      await using connection = await ReplicationConnection.connect(server.options)
      const backup = connection.baseBackup({ manifest: false }, droppingSink())
      await assert.rejects(backup, { ...PROTOCOL, message: /8589934591 bytes is not/ })
    })
  }
})

describe('a server whose times have no end', () => {
  for (const oid of [1082, 1184]) {
    it(`is left when they are of type ${oid}`, { timeout: 30_000 }, async () => {
      const column = [int16(1), text('x'), int32(0), int16(0), int32(oid), Buffer.alloc(8)]
      const digits = '1'.repeat(2_000_000)
      const long = row(digits)
      await using server = await hostile(() =>
        Buffer.concat([message('T', ...column), long, DONE, READY]),
      )
      const asked = withSql(server.options, async (sql) => sql.query('SELECT now()'))
      await assert.rejects(asked, PROTOCOL)
    })
  }
})

describe('a server that says of which type a value is', () => {
  const ask = async (oid: number, value: string): Promise<unknown> => {
    const column = [int16(1), text('x'), int32(0), int16(0), int32(oid), Buffer.alloc(8)]
    const answer = Buffer.concat([message('T', ...column), row(value), DONE, READY])
    await using server = await hostile((query) =>
      /^S(ET|HOW)/.test(query) ? Buffer.concat([DONE, READY]) : answer,
    )
    await using sql = await SqlClient.connect({ ...server.options, requireAuth: ['none'] })
    const rows = await sql.query('SELECT x')
    return rows[0]?.['x']
  }

  for (const oid of [114, 3802, 1115, 1016, 600, 17]) {
    it(`makes no object of type ${oid}: no query of ours has it`, async () => {
      assert.equal(await ask(oid, '[1]'), '[1]')
    })
  }

  it('does not have JSON unfolded, or a list that has no end', { timeout: 30_000 }, async () => {
    const many = `[${'[],'.repeat(10_000_000)}[]]`
    const grown = await grownBy(async () => assert.equal(await ask(114, many), many))
    assert.ok(grown < MEMORY_MAX, `${grown} bytes`)
    await assert.rejects(ask(1009, `{${'{},'.repeat(10_000_000)}{}}`), PROTOCOL)
    await assert.rejects(ask(16, 't'.repeat(1000)), PROTOCOL)
    assert.deepEqual(await ask(1009, '{a,b}'), ['a', 'b'])
  })
})

describe('a server whose few bytes unfold to many values', () => {
  const many = (count: number): Buffer =>
    columns(...Array.from({ length: count }, (_, n) => `c${n}`))
  const nothing = Buffer.concat(Array.from({ length: 20_000 }, () => message('D', int16(0))))
  const nulls = message('D', int16(90), Buffer.alloc(360, 0xff))
  const answers: readonly [string, Buffer][] = [
    ['many columns', Buffer.concat([many(1600), nothing])],
    ['rows without the values of their columns', Buffer.concat([many(90), nothing])],
    ['many NULLs', Buffer.concat([many(90), ...Array.from({ length: 60_000 }, () => nulls)])],
    ['many results', Buffer.concat(Array.from({ length: 20_000 }, () => [many(1), DONE]).flat())],
  ]
  for (const [what, answer] of answers) {
    it(`is left by SQL for ${what}`, { timeout: 30_000 }, async () => {
      await using server = await hostile((query) =>
        /^S(ET|HOW)/.test(query)
          ? Buffer.concat([DONE, READY])
          : Buffer.concat([answer, DONE, READY]),
      )
      await using sql = await SqlClient.connect({ ...server.options, requireAuth: ['none'] })
      const grown = await grownBy(async () => assert.rejects(sql.query('SELECT 1'), PROTOCOL))
      assert.ok(grown < MEMORY_MAX, `${grown} bytes`)
    })
  }
  for (const [what, answer] of answers.slice(0, 2)) {
    it(`is left by a replication command for ${what}`, { timeout: 30_000 }, async () => {
      await using server = await hostile(otherwise(answer))
      await using connection = await ReplicationConnection.connect(server.options)
      const grown = await grownBy(async () => assert.rejects(connection.identifySystem(), PROTOCOL))
      assert.ok(grown < MEMORY_MAX, `${grown} bytes`)
    })
  }
})

describe('SQL that answers without end', { concurrency: false }, async () => {
  const files = temporaryDirectory()
  const server = await startPostgres({ major: 18, stopped: true, settings: { ssl: true } })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await files[Symbol.asyncDispose]()
  })
  installCertificates(makeCertificates(files.path), server.directory)
  await server.start()

  for (const sslmode of ['disable', 'require'] as const) {
    it(`is cut off (sslmode ${sslmode}), and the connection serves nothing more`, async () => {
      await using sql = await SqlClient.connect({ ...server.connection, sslmode })
      const endless = "SELECT repeat('x', 1000000) FROM generate_series(1, 2000)"
      const excess = { ...PROTOCOL, message: /more than 128/ }
      await assert.rejects(sql.query(endless), excess)
      await assert.rejects(sql.query('SELECT 1'), excess)
    })
  }

  it('leaves what is asked for in earnest alone', async () => {
    await withSql(server.connection, async (sql) => {
      const rows = await sql.query("SELECT repeat('x', 1000000) AS x FROM generate_series(1, 60)")
      assert.equal(rows.length, 60)
    })
  })
})

describe('a server that never comes to the end', () => {
  it('is left by a short command, whatever it goes on saying', { timeout: 60_000 }, async () => {
    const notice = message('N', text('SNOTICE'), text('C00000'), text('Mwait'), Buffer.alloc(1))
    await using server = await hostile(otherwise(notice))
    await using connection = await ReplicationConnection.connect(server.options)
    const drip = setInterval(() => server.say(notice), 100)
    try {
      await assert.rejects(connection.identifySystem({ timeoutMs: 1000 }), (error) => {
        assert.match(String(error), /no whole answer within 1\.0 s/)
        return (error as { code?: string }).code === 'TIMEOUT'
      })
    } finally {
      clearInterval(drip)
    }
  })

  it('does not keep the primary from being found', { timeout: 60_000 }, async () => {
    await using primary = await startPostgres({ major: 18 })
    await using standby = await hostile(otherwise(Buffer.alloc(0)))
    const notice = message('N', text('SNOTICE'), text('C00000'), text('Mwait'), Buffer.alloc(1))
    const drip = setInterval(() => standby.say(notice), 100)
    const signal = new AbortController().signal
    try {
      // While no primary answers nothing else ends the question to this one.
      const nobody = chooseServer([standby.options, { ...standby.options, port: 1 }], signal)
      await assert.rejects(nobody)
      await using chosen = await chooseServer([standby.options, primary.connection], signal)
      assert.equal(chosen.options.port, primary.connection.port)
    } finally {
      clearInterval(drip)
    }
  })
})
