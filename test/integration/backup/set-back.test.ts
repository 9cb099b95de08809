/**
 * A server that went back to a cold copy of an older state writes other WAL under names that are held already.
 */
import assert from 'node:assert/strict'
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fetchedWal } from '../../../src/backup/fetched-wal.ts'
import { receivedOrFetched } from '../../../src/backup/received-or-fetched.ts'
import type { TakeBackupOptions } from '../../../src/backup/take/take-options.ts'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { type ReceiverStatus, writeReceiverStatus } from '../../../src/wal/receiver-status.ts'
import { spoolOf } from '../../../src/wal/spool-place.ts'
import {
  matrixMajors,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { backUp, giveToServer, readRepository, verifyAll } from './support.ts'

const calm = (major: number): Record<string, string | number> => ({
  autovacuum: 'off',
  ...(major >= 13 ? { wal_keep_size: '1GB' } : { wal_keep_segments: 64 }),
  ...(major >= 17 ? { summarize_wal: 'on' } : {}),
})

async function write(pg: TestServer, text: string, segments: number): Promise<void> {
  for (let n = 0; n < segments; n += 1) {
    await pg.query(`insert into t select g, '${text}' from generate_series(1, 1000) g`)
    await pg.query('select pg_switch_wal()')
  }
}

/** Puts the copy in the place of the data directory. */
async function setBack(pg: TestServer, copy: string): Promise<void> {
  await pg.stop()
  await rm(pg.directory, { recursive: true })
  await cp(copy, pg.directory, { recursive: true, preserveTimestamps: true })
  await giveToServer(pg.directory)
  await pg.start()
}

async function coldCopy(pg: TestServer, copy: string): Promise<void> {
  await pg.stop()
  await cp(pg.directory, copy, { recursive: true, preserveTimestamps: true })
  await pg.start()
}

/** Finished segments in the server's pg_wal after those of `held`, by name. */
async function finishedAfter(pg: TestServer, held: string): Promise<Map<string, Buffer>> {
  const [row] = await pg.query('select pg_walfile_name(pg_current_wal_lsn()) as name')
  const folder = join(pg.directory, 'pg_wal')
  const names = (await readdir(folder)).filter((name) => /^[0-9A-F]{24}$/.test(name))
  const finished = names.filter((name) => name > held && name < String(row?.['name'])).sort()
  return new Map(
    await Promise.all(
      finished.map(async (name) => [name, await readFile(join(folder, name))] as const),
    ),
  )
}

/** A receiver that has the segments synced, so the server needs them no more, and stores them when they are waited for. */
function storedLate(
  pg: TestServer,
  segments: ReadonlyMap<string, Buffer>,
): TakeBackupOptions['wal'] {
  return async (cluster, signal) => {
    const fetched = await fetchedWal(pg.connection)(cluster, signal)
    return {
      ensure: async (range, options) => {
        for (const [name, content] of segments) await cluster.wal.putSegment(name, content)
        await fetched.ensure(range, options)
      },
      [Symbol.asyncDispose]: () => fetched[Symbol.asyncDispose](),
    }
  }
}

it('a receiver that stores what the server has removed while a backup waits makes no full of it', async () => {
  await using directory = temporaryDirectory()
  await using pg = await startPostgres({
    major: 18,
    settings: { autovacuum: 'off', min_wal_size: '32MB', max_wal_size: '4GB' },
  })
  await pg.query('create table t (id int, text text)')
  const repository = join(directory.path, 'repository')
  await backUp(pg, repository)
  const { wal } = await openCluster(new DiskStore(repository), 'test', systemClock)
  let held = ''
  for await (const name of wal.listSegments('00000001')) held = name
  await write(pg, 'first', 6)
  const segments = await finishedAfter(pg, held)
  await pg.query('checkpoint')
  await pg.query('checkpoint')
  const [oldest = ''] = segments.keys()
  assert.ok(!(await finishedAfter(pg, held)).has(oldest), `the server still has ${oldest}`)
  const second = await backUp(pg, repository, { wal: storedLate(pg, segments) })
  assert.equal(second.type, 'changed-pages', second.fullBecause ?? '')
  await verifyAll(repository)
})

describe('a server that was set back on its timeline', () => {
  for (const major of matrixMajors()) {
    for (const [where, before, after] of [
      ['beyond the WAL that is held', 1, 5],
      ['inside the WAL that is held', 6, 4],
    ] as const) {
      it(`is not backed up (${major}, ${where})`, async () => {
        await using directory = temporaryDirectory()
        await using pg = await startPostgres({ major, settings: calm(major) })
        await pg.query('create table t (id int, text text)')
        const copy = join(directory.path, 'copy')
        const repository = join(directory.path, 'repository')
        await coldCopy(pg, copy)
        await write(pg, 'first', 1)
        const first = await backUp(pg, repository)
        await write(pg, 'first', before)
        const second = await backUp(pg, repository)
        assert.equal(second.type, 'changed-pages', second.fullBecause ?? '')
        await setBack(pg, copy)
        await write(pg, 'second', after)
        const refusal = {
          code: 'POSTGRES_IDENTITY',
          message: /the server's WAL after .* on timeline 1 is not the WAL held of it/,
        }
        await assert.rejects(backUp(pg, repository), refusal)
        await assert.rejects(backUp(pg, repository, { full: true }), refusal)
        await verifyAll(repository)
        assert.match(await readRepository(repository, 'test'), new RegExp(first.id))
      })
    }
  }

  it('whose receiver refuses it is not backed up', async () => {
    await using directory = temporaryDirectory()
    await using pg = await startPostgres({ major: 18, settings: calm(18) })
    const repository = join(directory.path, 'repository')
    await backUp(pg, repository)
    const cluster = await openCluster(new DiskStore(repository), 'test', systemClock)
    const spool = spoolOf(cluster).directory
    await mkdir(spool, { recursive: true })
    const problem = {
      code: 'POSTGRES_IDENTITY',
      message: 'Cannot continue WAL at 0/5000000 on timeline 1',
      hint: 'The server was restored to an older state.',
      atMs: Date.now(),
    }
    const status = { state: 'refused', pid: process.pid, lastError: problem }
    const published = { ...status, cluster: 'test', publishedAtMs: Date.now() }
    await writeReceiverStatus(spool, published as unknown as ReceiverStatus)
    await assert.rejects(
      backUp(pg, repository, { wal: receivedOrFetched(pg.connection) }),
      /the WAL receiver refuses the server: Cannot continue WAL at 0\/5000000/,
    )
  })
})
