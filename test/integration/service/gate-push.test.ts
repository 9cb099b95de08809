/**
 * What the bearer of a database server's key gets into the repository: through the gate's own process, from real servers.
 */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pushingPrimary } from '../../../src/cli/session/pushing-server.ts'
import { promoteServer, startServer, stopServer } from '../../../src/host/postgres-control.ts'
import { instanceOf } from '../../../src/build/steps/act-context.ts'
import { bringUp } from '../../../src/build/up.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { addBytes } from '../../../src/postgres/lsn.ts'
import { claimCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { listContested } from '../../../src/wal/contested.ts'
import { pushByKey } from '../../../src/wal/push-by-key.ts'
import { pushedBy } from '../../../src/wal/pushed-mark.ts'
import { spoolOf } from '../../../src/wal/spool-place.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { makeHouse } from '../cluster/house.ts'
import { claimFor, LOAD, switchWal } from '../wal/support.ts'
import { gate } from './gate-process.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024

describe('pushes through the gate', () => {
  test('what continues the WAL that is held comes in, and nothing that poisons recovery', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = await claimFor(pg, folder.path)
    await pg.query(LOAD)
    const name = await switchWal(pg)
    const segment = readFileSync(join(pg.directory, 'pg_wal', name))
    const push = (file: string, content: Buffer, size = content.length) =>
      gate(folder.path, `wal push ${file} ${size}`, content)
    assert.deepEqual(push(name, segment), { code: 0, said: '' })

    const refused = (got: ReturnType<typeof gate>, text: RegExp): void => {
      assert.equal(got.code, 126, got.said)
      assert.match(got.said, text)
    }
    const history = (text: string): Buffer => Buffer.from(text)
    // Fourteen bytes that every recovery would follow.
    refused(push('0FFFFFF0.history', history('1\t0/5000000\tx\n')), /far beyond the newest/)
    refused(push('00000005.history', history('4\t0/5000000\tx\n')), /nothing is known/)
    refused(push('00000002.history', history('1\tFFFF/5000000\tx\n')), /far beyond all WAL/)
    refused(push('00000002.history', history('no history\n')), /no timeline history/)
    refused(push('00000002.history', Buffer.alloc(1024 ** 2, '#')), /at most 65536/)
    refused(push('000000030000000000000009', segment), /timeline 3 is not known/)
    refused(push('00000001000000FF00000001', segment), /far beyond all WAL/)
    // What does not fit the cluster is refused by its announced size, before it is read.
    refused(push(name, Buffer.alloc(0), 1024 ** 3), /segments of this cluster have 16777216/)
    refused(push(name, Buffer.alloc(10), SEGMENT_BYTES), /10 bytes came/)

    assert.deepEqual(await repository.wal.listHistories(), [])
    assert.deepEqual(await repository.wal.listTimelines(), ['00000001'])
    // A promotion at the end of what is held is what a failover sends.
    const lsn = `0/${(Number.parseInt(name.slice(-8), 16) * SEGMENT_BYTES + 100).toString(16)}`
    const fork = history(`1\t${lsn.toUpperCase()}\tno recovery target specified\n`)
    assert.deepEqual(push('00000002.history', fork), { code: 0, said: '' })
    const other = history(`1\t0/2000000\tx\n2\t${lsn.toUpperCase()}\tx\n`)
    refused(push('00000003.history', other), /another story of timeline 2/)
  })

  test('only the present primary may push, before and after a promotion', async () => {
    await using house = await makeHouse({ major: 18 })
    await bringUp(house.context())
    const { repository, ask } = await gateOf(house)
    const { signal } = new AbortController()
    const isRefused = (error: unknown): boolean => isBackstayError(error, 'HOST_PRIVILEGE')

    const seen = await ask('db1')
    assert.equal(seen?.server, 'db1')
    // A busy primary archives several segments while the answer is remembered: one that it does not cover is asked for anew.
    await house.query('db1', 'CREATE TABLE more AS SELECT 1')
    await house.query('db1', 'SELECT pg_switch_wal()')
    const reachLsn = addBytes(seen.flushLsn, 1)
    const pusher = { repository, wanted: house.wanted, server: 'db1', reachLsn, signal }
    assert.ok(((await pushingPrimary(pusher))?.flushLsn ?? 0n) >= reachLsn)
    await assert.rejects(ask('db2'), isRefused)
    await assert.rejects(ask('nobody'), isRefused)

    const [db1, db2] = house.wanted.servers as [ServerWanted, ServerWanted]
    await stopServer(await instanceOf(house.context(), db1), { timeoutMs: 30_000 })
    await promoteServer(await instanceOf(house.context(), db2), { timeoutMs: 30_000 })
    assert.deepEqual((await ask('db2'))?.timeline, 2)
    await assert.rejects(ask('db1'), isRefused)
    // Nobody can be asked: who was the primary last may go on, nobody else may begin.
    await stopServer(await instanceOf(house.context(), db2), { timeoutMs: 30_000 })
    await assert.rejects(ask('db1'), isRefused)
  })

  test('a segment that came while no primary answered makes room for the primary’s', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = await claimFor(pg, folder.path)
    await pg.query(LOAD)
    const name = await switchWal(pg)
    const own = readFileSync(join(pg.directory, 'pg_wal', name))
    // Right by itself: the last byte is after the switch.
    const forged = Buffer.from(own)
    forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1)
    await pushByKey(repository, { name, content: forged }, { server: 'db2', isAsked: false })
    const push = async (content: Buffer) =>
      pushByKey(repository, { name, content }, { server: 'db1', isAsked: true })
    assert.equal(await push(own), 'stored')
    assert.deepEqual(await repository.wal.getSegment(name), own)
    const [contested] = await listContested(repository)
    assert.deepEqual([contested?.name, contested?.server], [name, 'db2'])
    assert.equal(await pushedBy(repository, name), 'db1')
    await assert.rejects(push(forged), (error) => isBackstayError(error, 'WAL_CONFLICT'))
  })

  test('of two primaries on one timeline the one seen before pushes, or none', async () => {
    await using house = await makeHouse({ major: 18 })
    await bringUp(house.context())
    const { repository, ask, noteFile } = await gateOf(house)
    const isRefused = (error: unknown): boolean => isBackstayError(error, 'HOST_PRIVILEGE')
    assert.equal((await ask('db1'))?.server, 'db1')
    // Somebody who has the standby's machine makes a primary of it, without a new timeline.
    const db2 = house.wanted.servers[1] as ServerWanted
    const instance = await instanceOf(house.context(), db2)
    await stopServer(instance, { timeoutMs: 30_000 })
    rmSync(join(db2.directory, 'standby.signal'))
    await startServer(instance, { timeoutMs: 30_000, logFile: join(db2.directory, 'start.log') })
    const age = (server: string): void =>
      writeFileSync(noteFile, JSON.stringify({ server, timeline: 1, flushLsn: '0/1', seenAtMs: 1 }))
    age('db1')
    assert.equal((await ask('db1'))?.server, 'db1')
    await assert.rejects(ask('db2'), isRefused)
    // Not the order of the file decides.
    age('db2')
    assert.equal((await ask('db2'))?.server, 'db2')
    for (const server of ['db1', 'db2']) {
      rmSync(noteFile, { force: true })
      await assert.rejects(ask(server), (error) => {
        assert.ok(isBackstayError(error, 'HOST_PRIVILEGE'), String(error))
        return /"db1" and "db2" are all primaries on timeline 1/.test(error.message)
      })
    }
    assert.equal(await repository.wal.hasSegment('000000010000000000000001'), false)
  })
})

/** The gate of a house, asked as its process asks. */
async function gateOf(house: Awaited<ReturnType<typeof makeHouse>>) {
  const { backup } = house.wanted
  assert.ok(backup !== undefined)
  const [row] = await house.query(
    'db1',
    'SELECT system_identifier::text AS id FROM pg_control_system()',
  )
  const repository = await claimCluster({
    store: new DiskStore(backup.repository),
    name: 'shop',
    server: { systemIdentifier: String(row?.['id']), major: 18, segmentBytes: SEGMENT_BYTES },
    clock: systemClock,
  })
  const passwords = readFileSync(join(house.wanted.stateDirectory, 'passwords'))
  writeFileSync(join(backup.repository, '.pgpass'), passwords, { mode: 0o600 })
  const { signal } = new AbortController()
  return {
    repository,
    ask: async (server: string) =>
      pushingPrimary({ repository, wanted: house.wanted, server, signal }),
    noteFile: join(spoolOf(repository).directory, 'primary.json'),
  }
}
