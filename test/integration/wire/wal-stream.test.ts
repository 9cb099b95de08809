import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { addBytes, type Lsn, parseLsn, toLsn } from '../../../src/postgres/lsn.ts'
import {
  DEFAULT_SEGMENT_BYTES,
  formatSegmentName,
  segmentOf,
} from '../../../src/postgres/segment-name.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { SqlClient } from '../../../src/wire/sql-client.ts'
import type { WalHandler } from '../../../src/wire/wal-stream.ts'
import {
  matrixMajors,
  openPostgres,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { DirectorySink } from './directory-sink.ts'

const MAKE_WAL = `
  INSERT INTO noise SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 20000) n`

const SENDER_TIMEOUT_MS = 2000
/** The passing of this time is what is tested, so it is waited for. */
const HOLD_MS = SENDER_TIMEOUT_MS * 1.3

/** Gathers WAL and checks that every piece continues the one before. */
class Collector implements WalHandler {
  readonly pieces: Buffer[] = []
  startLsn: Lsn | undefined
  endLsn: Lsn
  keepalives = 0

  constructor(startLsn: Lsn) {
    this.endLsn = startLsn
  }

  data(
    position: { startLsn: Lsn; serverEndLsn: Lsn; sendTimeMs: number },
    bytes: Uint8Array,
  ): void {
    assert.equal(position.startLsn, this.endLsn, 'WAL is contiguous')
    assert.ok(position.serverEndLsn >= position.startLsn)
    assert.ok(Math.abs(position.sendTimeMs - Date.now()) < 60_000)
    this.pieces.push(Buffer.from(bytes))
    this.endLsn = addBytes(position.startLsn, bytes.length)
  }

  keepalive(): void {
    this.keepalives += 1
  }

  async reach(lsn: Lsn): Promise<void> {
    await until(`WAL up to ${lsn}`, () => this.endLsn >= lsn)
  }
}

for (const major of matrixMajors()) {
  describe(`WAL streaming from PostgreSQL ${major}`, { concurrency: false }, async () => {
    const slow = { skip: [11, 18].includes(major) ? false : 'slow; run on 11 and 18' }
    const server = await startPostgres({
      major,
      settings: {
        wal_sender_timeout: SENDER_TIMEOUT_MS,
        max_wal_size: '64MB',
        min_wal_size: '32MB',
      },
    })
    const sql = await SqlClient.connect(server.connection)
    await sql.query('SET search_path = public')
    await sql.query('CREATE TABLE noise (n int, text text)')
    after(async () => {
      await sql[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    })

    it('what is received is what the server wrote', async () => {
      await using connection = await ReplicationConnection.connect(server.connection)
      const { flushLsn, timeline } = await connection.identifySystem()
      const startLsn = segmentStartOf(flushLsn)
      const collector = new Collector(startLsn)
      await using stream = await connection.startReplication(
        { startLsn, timeline, clock: systemClock },
        collector,
      )
      await sql.query(MAKE_WAL)
      const end = await flushed(sql)
      await collector.reach(end)
      await stream.stop()
      assert.deepEqual(await stream.ended, { reason: 'stopped' })
      const received = Buffer.concat(collector.pieces)
      const names = segmentsBetween(startLsn, end)
      const written = Buffer.concat(
        names.map((name) => readFileSync(join(server.directory, 'pg_wal', name))),
      )
      const length = Number(end - startLsn)
      assert.ok(received.subarray(0, length).equals(written.subarray(0, length)))
      assert.equal((await connection.identifySystem()).timeline, 1, 'the connection stays usable')
    })

    it('the slot moves only as far as was confirmed', async () => {
      await using connection = await ReplicationConnection.connect(server.connection)
      await connection.createPhysicalSlot('careful')
      await assert.rejects(connection.createPhysicalSlot('careful'), (error) => {
        assert.ok(isBackstayError(error, 'POSTGRES_QUERY'))
        return error.details['sqlstate'] === '42710'
      })
      const first = await restartLsn(sql, 'careful')
      assert.ok(first !== undefined, 'the slot keeps WAL from its creation on')
      const collector = new Collector(first)
      const options = { slot: 'careful', startLsn: first, timeline: 1, clock: systemClock }
      await using stream = await connection.startReplication(
        { ...options, statusIntervalMs: 50 },
        collector,
      )
      await sql.query(MAKE_WAL)
      await collector.reach(await flushed(sql))
      const flushLsn = addBytes(first, 8192)
      stream.confirm({ writeLsn: collector.endLsn, flushLsn })
      await until('the slot to move', async () => (await restartLsn(sql, 'careful')) === flushLsn)
      const [row] = await sql.query<{ write_lsn: Lsn; flush_lsn: Lsn }>(
        'SELECT write_lsn, flush_lsn FROM pg_stat_replication',
      )
      assert.deepEqual(row, { write_lsn: collector.endLsn, flush_lsn: flushLsn })

      await using other = await ReplicationConnection.connect(server.connection)
      const second = other.startReplication(options, collector)
      await assert.rejects(second, (error) => {
        assert.ok(isBackstayError(error, 'SLOT_IN_USE'), String(error))
        return error.retryable
      })
      await stream.stop()
      await connection.dropSlot('careful')
      const gone = connection.startReplication(options, collector)
      await assert.rejects(gone, (error) => isBackstayError(error, 'SLOT_MISSING'))
    })

    it('commits wait for a synchronous receiver and no longer than for its word', async () => {
      const applicationName = 'in_sync'
      await using connection = await ReplicationConnection.connect({
        ...server.connection,
        applicationName,
      })
      const startLsn = await flushed(sql)
      const collector = new Collector(startLsn)
      await using stream = await connection.startReplication(
        { startLsn, timeline: 1, clock: systemClock },
        collector,
      )
      await sql.query(`ALTER SYSTEM SET synchronous_standby_names = '${applicationName}'`)
      await sql.query('SELECT pg_reload_conf()')
      // The walsender must have been counted as synchronous before the commit waits for it.
      stream.confirm({ writeLsn: startLsn, flushLsn: startLsn }, { sendNow: true })
      await until('the receiver to be synchronous', async () => {
        const rows = await sql.query("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
        return rows.length === 1
      })
      await using observer = await SqlClient.connect(server.connection)
      const { commit, state } = await waitingCommit(sql, observer)
      assert.equal(state.isDone, false)
      const lsn = await flushed(observer)
      await collector.reach(lsn)
      stream.confirm({ writeLsn: lsn, flushLsn: lsn }, { sendNow: true })
      await commit
      await sql.query('ALTER SYSTEM RESET synchronous_standby_names')
      await sql.query('SELECT pg_reload_conf()')
    })

    it(
      'a handler that holds the stream longer than wal_sender_timeout keeps the connection',
      slow,
      async () => {
        await using connection = await ReplicationConnection.connect(server.connection)
        const startLsn = await flushed(sql)
        let released = false
        let endLsn = startLsn
        const hold = Promise.withResolvers<void>()
        const stream = await connection.startReplication(
          { startLsn, timeline: 1, clock: systemClock, statusIntervalMs: 300 },
          {
            data: (position, bytes) => {
              endLsn = addBytes(position.startLsn, bytes.length)
              return released ? undefined : hold.promise
            },
          },
        )
        await sql.query(MAKE_WAL)
        await systemClock.sleep(HOLD_MS)
        assert.ok(endLsn < (await flushed(sql)), 'nothing more was delivered meanwhile')
        released = true
        hold.resolve()
        const target = await flushed(sql)
        await until('the rest to come', () => endLsn >= target)
        await stream.stop()
      },
    )

    it('a quiet stream lives on the signs of life of both sides', slow, async () => {
      await using connection = await ReplicationConnection.connect(server.connection)
      const collector = new Collector(await flushed(sql))
      const options = { startLsn: collector.endLsn, timeline: 1, clock: systemClock }
      await using stream = await connection.startReplication(
        { ...options, statusIntervalMs: 400, idleTimeoutMs: 1500 },
        collector,
      )
      await until('keepalives', () => collector.keepalives >= 3)
      await stream.stop()
    })

    it('a server that does not answer any more is given up', async () => {
      await using connection = await ReplicationConnection.connect({
        ...server.connection,
        applicationName: 'frozen',
      })
      const collector = new Collector(await flushed(sql))
      const options = { startLsn: collector.endLsn, timeline: 1, clock: systemClock }
      const stream = await connection.startReplication(
        { ...options, idleTimeoutMs: 600 },
        collector,
      )
      const [row] = await sql.query<{ pid: number }>(
        "SELECT pid FROM pg_stat_replication WHERE application_name = 'frozen'",
      )
      assert.ok(row !== undefined)
      process.kill(row.pid, 'SIGSTOP')
      try {
        await assert.rejects(stream.ended, (error) => {
          assert.ok(isBackstayError(error, 'TIMEOUT'), String(error))
          return /silent/.test(error.message)
        })
      } finally {
        process.kill(row.pid, 'SIGCONT')
      }
    })

    it('an abort ends the stream with its reason', async () => {
      await using connection = await ReplicationConnection.connect(server.connection)
      const abort = new AbortController()
      const collector = new Collector(await flushed(sql))
      const options = { startLsn: collector.endLsn, timeline: 1, clock: systemClock }
      const stream = await connection.startReplication(
        { ...options, signal: abort.signal },
        collector,
      )
      abort.abort(new Error('enough'))
      await assert.rejects(stream.ended, /enough/)
    })

    it('WAL that is gone is WAL_UNAVAILABLE', async () => {
      await using connection = await ReplicationConnection.connect(server.connection)
      const startLsn = segmentStartOf(parseLsn('0/1000000') ?? toLsn(0n))
      for (let round = 0; round < 4; round += 1) await sql.query(MAKE_WAL)
      await sql.query('SELECT pg_switch_wal()')
      await sql.query('CHECKPOINT')
      const attempt = connection
        .startReplication({ startLsn, timeline: 1, clock: systemClock }, new Collector(startLsn))
        .then(async (stream) => stream.ended)
      await assert.rejects(attempt, (error) => {
        assert.ok(isBackstayError(error, 'WAL_UNAVAILABLE'), String(error))
        return /000000010000000000000001/.test(error.message)
      })
    })

    it('the end of a timeline is reported, and the next one goes on from there', async () => {
      await using files = temporaryDirectory()
      await using standby = await makeStandby(server, join(files.path, 'standby'))
      await using connection = await ReplicationConnection.connect(standby.connection)
      const { flushLsn } = await connection.identifySystem()
      const startLsn = segmentStartOf(flushLsn)
      const collector = new Collector(startLsn)
      const stream = await connection.startReplication(
        { startLsn, timeline: 1, clock: systemClock },
        collector,
      )
      await promote(standby)
      const end = await stream.ended
      assert.ok(end.reason === 'timeline')
      assert.equal(end.next.timeline, 2)
      assert.equal(collector.endLsn, end.next.startLsn, 'all of the old timeline was received')
      const { history, content } = await connection.timelineHistory(2)
      assert.equal(history.switches[0]?.switchLsn, end.next.startLsn)
      assert.match(content.toString(), /^1\t/)

      const atTheFork = await connection.startReplication(
        { startLsn: end.next.startLsn, timeline: 1, clock: systemClock },
        collector,
      )
      assert.deepEqual(await atTheFork.ended, end, 'nothing is left on the old timeline')

      await using next = await connection.startReplication(
        { startLsn: end.next.startLsn, timeline: 2, clock: systemClock },
        collector,
      )
      await standby.query('CREATE TABLE after_promotion ()')
      await collector.reach(addBytes(end.next.startLsn, 1000))
      await next.stop()

      const beyond = connection.startReplication(
        { startLsn: addBytes(end.next.startLsn, 1_000_000), timeline: 1, clock: systemClock },
        collector,
      )
      await assert.rejects(beyond, (error) => isBackstayError(error, 'POSTGRES_IDENTITY'))
    })

    it('an orderly shutdown of the server is told from a broken connection', async () => {
      await using connection = await ReplicationConnection.connect(server.connection)
      const collector = new Collector(await flushed(sql))
      const options = { startLsn: collector.endLsn, timeline: 1, clock: systemClock }
      const stream = await connection.startReplication(
        { ...options, statusIntervalMs: 100 },
        {
          data: (position, bytes) => {
            collector.data(position, bytes)
            stream.confirm({ writeLsn: collector.endLsn, flushLsn: collector.endLsn })
          },
        },
      )
      await sql[Symbol.asyncDispose]()
      await server.stop('fast')
      assert.deepEqual(await stream.ended, { reason: 'shutdown' })
    })
  })
}

function segmentStartOf(lsn: Lsn): Lsn {
  return toLsn(lsn - (lsn % BigInt(DEFAULT_SEGMENT_BYTES)))
}

function segmentsBetween(from: Lsn, to: Lsn): string[] {
  const place = { timeline: 1, segmentBytes: DEFAULT_SEGMENT_BYTES }
  const names: string[] = []
  for (let at = from; at < to; at = addBytes(at, DEFAULT_SEGMENT_BYTES)) {
    names.push(formatSegmentName(segmentOf(at, place), DEFAULT_SEGMENT_BYTES))
  }
  return names
}

async function flushed(sql: SqlClient): Promise<Lsn> {
  const { lsn } = await sql.one<{ lsn: Lsn }>('SELECT pg_current_wal_flush_lsn() AS lsn')
  return lsn
}

/**
 * A commit that waits for the synchronous receiver. The checkpointer tells the server that there is one, and may be busy: until then
 * commits do not wait, although the view shows it as synchronous.
 */
async function waitingCommit(sql: SqlClient, observer: SqlClient) {
  return until('a commit to wait', async () => {
    const state = { isDone: false }
    const commit = sql.query('INSERT INTO noise VALUES (0, 0)').then(() => (state.isDone = true))
    const isWaiting = await until('the commit to wait or to end', async () => {
      const rows = await observer.query(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
      )
      return rows.length === 1 ? 'waits' : state.isDone && 'ended'
    })
    return isWaiting === 'waits' && { commit, state }
  })
}

async function restartLsn(sql: SqlClient, slot: string): Promise<Lsn | undefined> {
  const { lsn } = await sql.one<{ lsn: Lsn | null }>(
    'SELECT restart_lsn AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  )
  return lsn ?? undefined
}

async function makeStandby(server: TestServer, directory: string): Promise<TestServer> {
  const { major, host, port, superuser, password } = server
  await using connection = await ReplicationConnection.connect(server.connection)
  await connection.baseBackup({ includeWal: true }, new DirectorySink(() => directory))
  const conninfo = `host=${host} port=${port} user=${superuser} password=${password}`
  if (major < 12) {
    const lines = `standby_mode = on\nprimary_conninfo = '${conninfo}'\n`
    const file = join(directory, 'recovery.conf')
    await writeFile(file, lines)
    if (isRoot) await chown(file, unprivilegedUser.uid, unprivilegedUser.gid)
    return openPostgres({ major, directory, settings: { hot_standby: 'on' } })
  }
  await writeFile(join(directory, 'standby.signal'), '')
  return openPostgres({ major, directory, settings: { primary_conninfo: conninfo } })
}

async function promote(standby: TestServer): Promise<void> {
  if (standby.major >= 12) {
    await standby.query('SELECT pg_promote()')
    return
  }
  await writeFile(join(standby.directory, 'promote'), '')
  process.kill(standby.pid() ?? 0, 'SIGUSR1')
}
