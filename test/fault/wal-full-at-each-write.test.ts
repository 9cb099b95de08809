/** The disk is full at one of the receiver's writes after the other: it says so, and goes on by itself when there is room again. */
import { failFiles } from './failing-files.ts'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { listGaps } from '../../src/wal/gaps.ts'
import { startPostgres, type TestServer } from '../harness/postgres.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { isRoot } from '../harness/unprivileged-user.ts'
import { until } from '../harness/until.ts'
import {
  assertSameAsPrimary,
  claimFor,
  type RunningReceiver,
  startReceiver,
  switchWal,
  untilReceived,
} from '../integration/wal/support.ts'

const SEGMENT_BYTES = 1024 * 1024
/** Of all calls that need room, and of syncs alone, which may be late among them. */
const ROUNDS = { call: 14, sync: 5 } as const
const NOISE = `insert into noise select string_agg(md5(random()::text), '') from generate_series(1, 300) i, generate_series(1, 30) j group by i`

async function start(folder: string): Promise<{ pg: TestServer; receiver: RunningReceiver }> {
  const pg = await startPostgres({ major: 18, initdbArguments: ['--wal-segsize=1'] })
  await pg.query('create table noise(text text)')
  const receiver = startReceiver(pg, await claimFor(pg, folder))
  await untilReceived(pg)
  return { pg, receiver }
}

async function isFull(receiver: RunningReceiver, since: number): Promise<boolean> {
  const error = (await receiver.status())?.lastError
  return error?.code === 'DISK_SPACE' && error.atMs >= since
}

it(`goes on after a full disk at each of ${ROUNDS.call} calls and ${ROUNDS.sync} syncs around a switch`, async () => {
  await using folder = temporaryDirectory()
  const { pg, receiver } = await start(folder.path)
  await using _server = pg
  await using _receiver = receiver
  const failed = new Set<string>()
  for (const { kind, number } of rounds()) {
    const since = Date.now()
    {
      let left = number
      using _full = failFiles(({ name, path }) => {
        // The status is written over in place and needs no room.
        if (!path.includes('/spool/') || path.endsWith('status.json') || name === 'rename')
          return undefined
        if (kind === 'sync' && name !== kind) return undefined
        left -= 1
        if (left > 0) return undefined
        failed.add(`${name} ${/[^.]+$/.exec(path)?.[0] ?? ''}`)
        return 'ENOSPC'
      })
      await pg.query(NOISE)
      await switchWal(pg)
      await until(`the receiver to find the disk full at ${kind} ${number}`, async () => {
        await pg.query(`select pg_logical_emit_message(false, 't', 'more')`)
        return await isFull(receiver, since)
      })
    }
    await untilReceived(pg)
  }
  await pg.query(NOISE)
  await assertSameAsPrimary(pg, receiver.repository, await switchWal(pg), 8)
  assert.deepEqual(await listGaps(receiver.repository), [])
  assert.ok(failed.has('write spool') && failed.has('sync spool'), [...failed].join(', '))
})

function rounds(): readonly { readonly kind: keyof typeof ROUNDS; readonly number: number }[] {
  return (['call', 'sync'] as const).flatMap((kind) =>
    Array.from({ length: ROUNDS[kind] }, (_, index) => ({ kind, number: index + 1 })),
  )
}

describe('a disk that is full at a switch', () => {
  for (const kind of ['tmpfs', 'ext4'] as const) {
    const canMount = isRoot && (kind === 'tmpfs' || existsSync('/dev/loop-control'))
    it(
      `on ${kind} holds the receiver up until there is room`,
      { skip: !canMount && 'mounting needs root' },
      async () => {
        await using folder = temporaryDirectory()
        using disk = mountSmall(kind, folder.path)
        const { pg, receiver } = await start(disk.path)
        await using _server = pg
        await using _receiver = receiver
        // The receiver takes its spare file at each switch: the next one has to grow.
        const filler = join(disk.path, 'filler')
        for (const leftBytes of [300_000, 100_000, 20_000]) {
          const since = Date.now()
          fill(disk.path, filler, leftBytes)
          await until('the receiver to find the disk full', async () => {
            await pg.query(NOISE)
            await switchWal(pg)
            return await isFull(receiver, since)
          })
          rmSync(filler)
          await untilReceived(pg)
        }
        await pg.query(NOISE)
        await assertSameAsPrimary(pg, receiver.repository, await switchWal(pg), 4)
        assert.deepEqual(await listGaps(receiver.repository), [])
      },
    )
  }
})

/** Leaves so much room and no more. The receiver takes room meanwhile: the disk can be full before the filler is written. */
function fill(disk: string, filler: string, leftBytes: number): void {
  const { bavail, bsize } = statfsSync(disk)
  const bytes = Math.max(0, bavail * bsize - leftBytes)
  try {
    writeFileSync(filler, Buffer.alloc(bytes, 7))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    truncateSync(filler, Math.max(0, statSync(filler).size - leftBytes))
  }
}

function mountSmall(kind: 'tmpfs' | 'ext4', folder: string): Disposable & { path: string } {
  const path = join(folder, 'small')
  mkdirSync(path)
  if (kind === 'tmpfs') {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=30m', 'tmpfs', path])
  } else {
    const image = join(folder, 'image')
    execFileSync('truncate', ['-s', String(48 * SEGMENT_BYTES), image])
    execFileSync('mkfs.ext4', ['-q', '-m', '0', image])
    execFileSync('mount', ['-o', 'loop', image, path])
  }
  return { path, [Symbol.dispose]: () => void execFileSync('umount', ['-l', path]) }
}
