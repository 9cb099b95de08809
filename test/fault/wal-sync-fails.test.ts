/**
 * A sync that failed once has lost what it was to make durable, and the next one on the same file succeeds and proves nothing. So nothing
 * in such a file is acknowledged: it is written anew first.
 */
import { failFiles } from './failing-files.ts'
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { ClusterRepository } from '../../src/repository/cluster-repository.ts'
import { listGaps } from '../../src/wal/gaps.ts'
import { spoolOf } from '../../src/wal/spool-place.ts'
import { startPostgres } from '../harness/postgres.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { until } from '../harness/until.ts'
import {
  assertSameAsPrimary,
  claimFor,
  startReceiver,
  switchWal,
  untilReceived,
} from '../integration/wal/support.ts'

const SEGMENT_BYTES = 1024 * 1024

/** The first sync of a file that satisfies `isChosen` fails with EIO; tells which file it was. */
function failOneSync(isChosen: (writtenBytes: number) => boolean): Failing {
  const failing: { file?: Poisoned } = {}
  const written = new Map<string, number>()
  const files = failFiles(({ name, path, endOffset }) => {
    const key = segmentIn(path)
    if (key === undefined || failing.file !== undefined) return undefined
    if (endOffset !== undefined) written.set(key, Math.max(written.get(key) ?? 0, endOffset))
    if (name !== 'sync' || !isChosen(written.get(key) ?? 0)) return undefined
    failing.file = { path, inode: statSync(path).ino }
    return 'EIO'
  })
  return Object.assign(failing, { [Symbol.dispose]: () => files[Symbol.dispose]() })
}

interface Failing extends Disposable {
  readonly file?: Poisoned
}

interface Poisoned {
  readonly path: string
  readonly inode: number
}

function segmentIn(path: string): string | undefined {
  return /([0-9A-F]{24})\.spool$/.exec(path)?.[1]
}

/** Segments stay in the spool until they are let go. */
function holdBack(repository: ClusterRepository): Disposable & { letGo: () => void } {
  const free = Promise.withResolvers<void>()
  const put = repository.wal.putSegment.bind(repository.wal)
  repository.wal.putSegment = async (...given) => {
    await free.promise
    return await put(...given)
  }
  return { letGo: free.resolve, [Symbol.dispose]: free.resolve }
}

describe('a sync of the receiver that fails once', () => {
  for (const [title, isChosen] of [
    ['as it completes a segment', (bytes: number) => bytes === SEGMENT_BYTES],
    ['in the middle of a segment', (bytes: number) => bytes > 100_000 && bytes < SEGMENT_BYTES],
  ] as const) {
    it(`${title} acknowledges nothing in that file`, async () => {
      await using folder = temporaryDirectory()
      await using pg = await startPostgres({ major: 18, initdbArguments: ['--wal-segsize=1'] })
      const repository = await claimFor(pg, folder.path)
      const trusted: number[] = []
      let isArmed = false
      using failing = failOneSync((bytes) => isArmed && isChosen(bytes))
      await using receiver = startReceiver(pg, repository, {
        onEvent: ({ kind }) => {
          // Said right after the first acknowledgement of a session.
          if (kind !== 'streaming' || failing.file === undefined) return
          trusted.push(statSync(failing.file.path).ino)
        },
      })
      using held = holdBack(repository)
      await untilReceived(pg)
      isArmed = true
      await pg.query('create table load(text text)')
      await pg.query(`insert into load select repeat('x', 900) from generate_series(1, 200)`)
      // Ends with the last record in the segment: nothing of it is in the next.
      await switchWal(pg)
      const poisoned = await until('a sync to fail', () => failing.file)
      await until('the next session to acknowledge', () => trusted.length > 0)
      assert.ok(!trusted.includes(poisoned.inode), 'the file whose sync failed is trusted no more')
      held.letGo()
      await pg.query('insert into load select text from load')
      await assertSameAsPrimary(pg, repository, await switchWal(pg), 1)
      assert.deepEqual(await listGaps(repository), [])
      assert.notEqual(await receiver.status(), undefined)
      assert.ok(poisoned.path.startsWith(join(spoolOf(repository).directory)))
    })
  }
})
