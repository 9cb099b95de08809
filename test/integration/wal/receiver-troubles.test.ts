/** What can go wrong around a receiver, on one version: it says what it is, and goes on or stays away as it must. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { BackstayError, isBackstayError } from '../../../src/errors/backstay-error.ts'
import { claimCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { receiveWal } from '../../../src/wal/receiver.ts'
import { spoolOf } from '../../../src/wal/spool-place.ts'
import { startPostgres } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'
import {
  assertSameAsPrimary,
  claimFor,
  cloneStandby,
  LOAD,
  promote,
  startReceiver,
  switchWal,
  untilReceived,
} from './support.ts'

describe('receiver in trouble', () => {
  it('notices a connection that went dead without a word, and makes a new one', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = await claimFor(pg, folder.path)
    await using wire = await breakableWire(pg.port)
    const server = { ...pg.connection, port: wire.port, applicationName: 'vault' }
    await using receiver = startReceiver(pg, repository, { servers: [server], idleTimeoutMs: 1500 })
    await pg.query(LOAD)
    await untilReceived(pg)
    wire.freeze()
    const failed = await until('the silence to be noticed', () =>
      receiver.events.find((event) => event.kind === 'failed'),
    )
    assert.equal(failed.error?.code, 'TIMEOUT')
    // The server still holds the slot for the connection it does not know to be dead.
    await pg.query(`select pg_terminate_backend(pid) from pg_stat_replication`)
    await pg.query(LOAD)
    await assertSameAsPrimary(pg, repository, await switchWal(pg))
  })

  it('refuses a server of another system identifier', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = await claimCluster({
      store: new DiskStore(folder.path),
      name: 'shop',
      server: { systemIdentifier: '7', major: 18, segmentBytes: 16 * 1024 * 1024 },
      clock: systemClock,
    })
    await using receiver = startReceiver(pg, repository)
    const problem = await until('the refusal', async () => {
      const status = await receiver.status()
      return status?.state === 'refused' && status.lastError
    })
    assert.equal(problem.code, 'POSTGRES_IDENTITY')
  })

  it('lets only one receiver work for a cluster', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = await claimFor(pg, folder.path)
    await using receiver = startReceiver(pg, repository)
    await until('the first to stream', async () => (await receiver.status())?.state !== undefined)
    const second = receiveWal(
      {
        repository,
        servers: [pg.connection],
        slot: 'other',
        createSlot: true,
        clock: systemClock,
        onEvent: () => undefined,
      },
      new AbortController().signal,
    )
    await assert.rejects(second, (error) => isBackstayError(error, 'REPOSITORY_LOCKED'))
  })

  it('follows the primary among several servers through a failover by itself', async () => {
    await using folder = temporaryDirectory()
    await using copy = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    await using standby = await cloneStandby(pg, join(copy.path, 'data'))
    const repository = await claimFor(pg, folder.path)
    const servers = [standby, pg].map(({ connection }) => ({
      ...connection,
      applicationName: 'vault',
    }))
    await using receiver = startReceiver(pg, repository, { servers })
    await pg.query(LOAD)
    await untilReceived(pg)
    await pg.kill()
    await promote(standby)
    await standby.query(LOAD)
    await assertSameAsPrimary(standby, repository, await switchWal(standby), 1)
    const connected = receiver.events.filter((event) => event.kind === 'connected')
    assert.match(connected.at(-1)?.text ?? '', new RegExp(`:${standby.port}$`))
  })

  it('does not wait out a server that is silent when the primary has answered', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = await claimFor(pg, folder.path)
    await using silent = await silentServer()
    const servers = [silent.port, pg.port].map((port) => ({
      ...pg.connection,
      port,
      applicationName: 'vault',
      connectTimeoutMs: 60_000,
    }))
    await using _receiver = startReceiver(pg, repository, { servers })
    await untilReceived(pg)
  })

  it('stops at a segment that is there with other content, and keeps both', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = await claimFor(pg, folder.path)
    await using receiver = startReceiver(pg, repository)
    await pg.query(LOAD)
    await untilReceived(pg)
    const [row] = await pg.query('select pg_walfile_name(pg_current_wal_insert_lsn()) as name')
    const name = String(row?.['name'])
    let other = Buffer.alloc(0)
    const put = repository.wal.putSegment.bind(repository.wal)
    repository.wal.putSegment = async (segment, content) => {
      if (segment === name && other.length === 0) {
        // After the switch, where nothing is judged: both are right, and not the same.
        other = Buffer.from(content)
        other.writeUInt8(7, other.length - 1)
        await put(segment, other)
      }
      return await put(segment, content)
    }
    await switchWal(pg)
    const problem = await until('the conflict to be told', async () => {
      await pg.query(`select pg_logical_emit_message(false, 't', 'more')`)
      const status = await receiver.status()
      return status?.state === 'refused' && status.lastError
    })
    assert.equal(problem.code, 'WAL_CONFLICT')
    assert.match(problem.message, new RegExp(name))
    assert.ok((await repository.wal.getSegment(name))?.equals(other))
    const spooled = readFileSync(join(spoolOf(repository).directory, `${name}.spool`))
    assert.ok(spooled.equals(readFileSync(join(pg.directory, 'pg_wal', name))))
  })

  it('puts the true segment in the place of a damaged one', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = await claimFor(pg, folder.path)
    await using receiver = startReceiver(pg, repository)
    await pg.query(LOAD)
    await untilReceived(pg)
    const [row] = await pg.query('select pg_walfile_name(pg_current_wal_insert_lsn()) as name')
    await repository.wal.putSegment(String(row?.['name']), Buffer.alloc(16 * 1024 * 1024, 7))
    await switchWal(pg)
    await until('it to be told', () => receiver.events.find(({ kind }) => kind === 'replaced'))
    await pg.query(LOAD)
    await assertSameAsPrimary(pg, repository, await switchWal(pg))
  })
})

it('a receiver that was told to stop says so', async () => {
  await using folder = temporaryDirectory()
  await using pg = await startPostgres({ major: 18 })
  const repository = await claimFor(pg, folder.path)
  const receiver = startReceiver(pg, repository)
  await until('streaming', async () => (await receiver.status())?.state === 'streaming')
  await receiver.stop()
  assert.equal((await receiver.status())?.state, 'stopped')
  assert.ok(!receiver.events.some(({ error }) => error instanceof BackstayError))
})

interface BreakableWire extends AsyncDisposable {
  readonly port: number
  /** From now on nothing passes on the connections there are; new ones work. */
  freeze(): void
}

async function breakableWire(target: number): Promise<BreakableWire> {
  const pairs: [Socket, Socket][] = []
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    pairs.push([client, upstream])
    for (const socket of [client, upstream]) socket.on('error', () => undefined)
    client.pipe(upstream)
    upstream.pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    port: address.port,
    freeze: () => {
      for (const [client, upstream] of pairs.splice(0)) {
        client.unpipe(upstream)
        upstream.unpipe(client)
        client.pause()
        upstream.pause()
      }
    },
    async [Symbol.asyncDispose]() {
      for (const socket of pairs.flat()) socket.destroy()
      server.close()
    },
  }
}

/** Accepts connections and never says a word. */
async function silentServer(): Promise<AsyncDisposable & { readonly port: number }> {
  const clients: Socket[] = []
  const server = createServer((client) => void clients.push(client))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy()
      server.close()
    },
  }
}
