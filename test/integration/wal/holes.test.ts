/** What nobody received while later WAL was stored is received as long as the server has it, and damage on the way is made good. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { findGaps } from '../../../src/wal/continuity.ts'
import { listGaps } from '../../../src/wal/gaps.ts'
import { loadContinuity } from '../../../src/wal/load-continuity.ts'
import { pushWalFile } from '../../../src/wal/push.ts'
import { spoolOf } from '../../../src/wal/spool-place.ts'
import { startPostgres, type TestServer } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'
import {
  assertSameAsPrimary,
  claimFor,
  startReceiver,
  switchWal,
  untilReceived,
} from './support.ts'

const SMALL = { major: 18, initdbArguments: ['--wal-segsize=1'] } as const

async function fillSegments(pg: TestServer, count: number): Promise<string[]> {
  const names: string[] = []
  for (let number = 0; number < count; number += 1) {
    await pg.query(
      `insert into load select repeat(md5(i::text), 30) from generate_series(1, 500) i`,
    )
    names.push(await switchWal(pg))
  }
  return names
}

describe('a receiver that comes back', () => {
  it('begins at the first hole the server can still fill, though later WAL is held', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres(SMALL)
    const repository = await claimFor(pg, folder.path)
    const before = startReceiver(pg, repository)
    await pg.query('create table load(text text)')
    await untilReceived(pg)
    await before.stop()
    const missed = await fillSegments(pg, 4)
    // As a backup does, or an archive_command, which both store what is finished.
    const stored = await fillSegments(pg, 1)
    const alsoMissed = await fillSegments(pg, 2)
    stored.push(...(await fillSegments(pg, 2)))
    for (const name of stored) await pushWalFile(repository, join(pg.directory, 'pg_wal', name))
    assert.equal(findGaps(await loadContinuity(repository)).length, 2)

    await using _receiver = startReceiver(pg, repository)
    await pg.query('insert into load select text from load limit 10')
    await assertSameAsPrimary(pg, repository, await switchWal(pg), 9)
    for (const name of [...missed, ...alsoMissed]) assert.ok(await repository.wal.hasSegment(name))
    assert.deepEqual(findGaps(await loadContinuity(repository)), [])
    assert.deepEqual(await listGaps(repository), [])
  })

  it('records a hole the server cannot fill once, and goes on', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({
      ...SMALL,
      settings: { min_wal_size: '2MB', max_wal_size: '4MB' },
    })
    const repository = await claimFor(pg, folder.path)
    await pg.query('create table load(text text)')
    const [first = ''] = await fillSegments(pg, 1)
    await pushWalFile(repository, join(pg.directory, 'pg_wal', first))
    await fillSegments(pg, 4)
    await pg.query('checkpoint')
    await fillSegments(pg, 4)
    await pg.query('checkpoint')
    const [later = ''] = await fillSegments(pg, 1)
    await pushWalFile(repository, join(pg.directory, 'pg_wal', later))
    for (const _session of [1, 2]) {
      await using _receiver = startReceiver(pg, repository)
      await untilReceived(pg)
    }
    const gaps = await listGaps(repository)
    assert.equal(gaps.length, 1)
    assert.match(gaps[0]?.reason ?? '', /removed this WAL/)
  })

  it('receives a segment again that was damaged in the spool', async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres(SMALL)
    const repository = await claimFor(pg, folder.path)
    const { directory } = spoolOf(repository)
    const put = repository.wal.putSegment.bind(repository.wal)
    let damaged = ''
    const free = Promise.withResolvers<void>()
    // The one before it waits, so that it lies in the spool whole.
    repository.wal.putSegment = async (name, content) => {
      if (damaged === '') await free.promise
      return await put(name, content)
    }
    await using receiver = startReceiver(pg, repository)
    using _free = { [Symbol.dispose]: free.resolve }
    await pg.query('create table load(text text)')
    const [, second = ''] = await fillSegments(pg, 3)
    // The next one is begun when it is.
    await until('the segment to be whole', () => {
      const spooled = readdirSync(directory).filter((name) => name.endsWith('.spool'))
      return spooled.includes(`${second}.spool`) && spooled.some((name) => name > `${second}.spool`)
    })
    const path = join(directory, `${second}.spool`)
    const content = readFileSync(path)
    content.writeUInt8(content.readUInt8(20_000) ^ 1, 20_000)
    writeFileSync(path, content)
    damaged = second
    free.resolve()
    await until('it to be told', () =>
      receiver.events.find(({ error }) => error?.code === 'WAL_INVALID'),
    )
    await pg.query('insert into load select text from load limit 10')
    await assertSameAsPrimary(pg, repository, await switchWal(pg), 4)
    assert.deepEqual(await listGaps(repository), [])
    assert.equal(readdirSync(directory).filter((name) => name.endsWith('.damaged')).length, 1)
  })
})
