/**
 * WAL that is right by itself and not the primary's, pushed with the primary's key before the receiver has it: with a real server, a receiver
 * in a process of its own, and the gate's process.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { readBackupStatus } from '../../../src/report/read-backup-status.ts'
import type { BackupWanted, ClusterWanted } from '../../../src/cluster/wanted.ts'
import type { ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { decompressUnknownAsync } from '../../../src/repository/codec.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { listContested } from '../../../src/wal/contested.ts'
import { pushedBy } from '../../../src/wal/pushed-mark.ts'
import { readReceiverStatus } from '../../../src/wal/receiver-status.ts'
import { spoolOf } from '../../../src/wal/spool-place.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../../harness/postgres.ts'
import { until } from '../../harness/until.ts'
import { backstay } from '../cli/programs.ts'
import {
  assertSameAsPrimary,
  claimFor,
  cloneStandby,
  LOAD,
  promote,
  spawnReceiver,
  storedSegment,
  switchWal,
  untilReceived,
} from '../wal/support.ts'
import { gate } from './gate-process.ts'

const SLOW_MS = 60_000

/** The finished segment, and one that is right too: its last byte is after the switch, where nothing is judged. */
function trueAndForged(pg: TestServer, name: string): { own: Buffer; forged: Buffer } {
  const own = readFileSync(join(pg.directory, 'pg_wal', name))
  const forged = Buffer.from(own)
  forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1)
  return { own, forged }
}

const push = (directory: string, name: string, content: Buffer): ReturnType<typeof gate> =>
  gate(directory, `wal push ${name} ${content.length}`, content)

/** Waits until the receiver's own stands under the name, and what was pushed is kept and told of. */
async function assertOwnWins(
  repository: ClusterRepository,
  name: string,
  { own, forged }: { own: Buffer; forged: Buffer },
): Promise<void> {
  await until(
    'the own segment to take its place',
    async () => (await repository.wal.getSegment(name))?.equals(own) ?? false,
    SLOW_MS,
  )
  const [contested, ...more] = await listContested(repository)
  assert.deepEqual(more, [])
  assert.equal(contested?.name, name)
  assert.equal(contested.server, 'db1')
  const kept = await repository.store.get(contested.keptAs, 2 ** 25)
  assert.ok(kept !== undefined)
  assert.ok((await decompressUnknownAsync(kept, 'kept', forged.length)).equals(forged))
  await until('the mark to go', async () => (await pushedBy(repository, name)) === undefined)
}

describe('pushed WAL that is other than the primary streams', () => {
  test('does not stop the receiver, is set aside, and is told of by status and wal gaps', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = await claimFor(pg, folder.path)
    await using receiver = spawnReceiver(pg, folder.path)
    await pg.query(LOAD)
    await storedSegment(repository, await switchWal(pg))
    await untilReceived(pg)
    receiver.child.kill('SIGSTOP')
    await pg.query('create table t as select 1')
    const name = await switchWal(pg)
    const contents = trueAndForged(pg, name)
    assert.deepEqual(push(folder.path, name, contents.forged), { code: 0, said: '' })
    assert.equal(await pushedBy(repository, name), 'db1')
    receiver.child.kill('SIGCONT')
    await assertOwnWins(repository, name, contents)

    await pg.query(LOAD)
    await assertSameAsPrimary(pg, repository, await switchWal(pg))
    const status = await readReceiverStatus(spoolOf(repository).directory)
    assert.equal(status?.state, 'streaming')
    const gaps = await backstay(['wal', 'gaps', '--repository', folder.path, '--cluster', 'shop'])
    assert.equal(gaps.code, 3, gaps.stdout)
    assert.match(gaps.stdout, new RegExp(`server "db1" pushed WAL file ${name}`))
    const told = await readBackupStatus(
      { name: 'shop' } as ClusterWanted,
      { name: 'vault', repository: folder.path, schedule: {} } as unknown as BackupWanted,
      systemClock,
    )
    assert.match(told.problems.join('\n'), new RegExp(`server "db1" pushed WAL file ${name}`))
  })

  test('is found when the receiver comes back; what the receiver holds is not changed by a push', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = await claimFor(pg, folder.path)
    const first = spawnReceiver(pg, folder.path)
    await pg.query(LOAD)
    const held = await switchWal(pg)
    await storedSegment(repository, held)
    await untilReceived(pg)
    await first.kill()
    await pg.query('create table t as select 1')
    const same = await switchWal(pg)
    const sameContent = trueAndForged(pg, same).own
    assert.deepEqual(push(folder.path, same, sameContent), { code: 0, said: '' })
    await pg.query('insert into t values (2)')
    const name = await switchWal(pg)
    const contents = trueAndForged(pg, name)
    assert.deepEqual(push(folder.path, name, contents.forged), { code: 0, said: '' })

    await using _second = spawnReceiver(pg, folder.path)
    await assertOwnWins(repository, name, contents)
    assert.equal(await pushedBy(repository, same), undefined)
    for (const one of [held, same, name]) {
      const { own, forged } = trueAndForged(pg, one)
      const refused = push(folder.path, one, forged)
      assert.equal(refused.code, 126, refused.said)
      assert.match(refused.said, /already with other content/)
      assert.ok((await repository.wal.getSegment(one))?.equals(own))
      assert.equal(await pushedBy(repository, one), undefined)
    }
    assert.equal((await listContested(repository)).length, 1)
  })

  test('a forged history file of the next timeline is set aside too', async () => {
    await using folder = temporaryDirectory()
    await using copy = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = await claimFor(pg, folder.path)
    const first = spawnReceiver(pg, folder.path)
    await pg.query(LOAD)
    await storedSegment(repository, await switchWal(pg))
    await first.kill()
    const [row] = await pg.query('select pg_current_wal_flush_lsn()::text as lsn')
    const forged = Buffer.from(`1\t${String(row?.['lsn'])}\tforged\n`)
    assert.deepEqual(push(folder.path, '00000002.history', forged), { code: 0, said: '' })
    await using standby = await cloneStandby(pg, join(copy.path, 'data'))
    await pg.stop()
    await promote(standby)
    await using _second = spawnReceiver(standby, folder.path)
    const own = readFileSync(join(standby.directory, 'pg_wal/00000002.history'))
    assert.ok(!own.equals(forged))
    await until(
      'the own history file to take its place',
      async () => (await repository.wal.getHistory(2))?.equals(own) ?? false,
      SLOW_MS,
    )
    const [contested] = await listContested(repository)
    assert.equal(contested?.name, '00000002.history')
    assert.deepEqual(await repository.wal.listHistories(), [2])
  })
})
