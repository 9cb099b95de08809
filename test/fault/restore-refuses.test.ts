/**
 * What a restore refuses, it refuses before it changes anything, by name, and with the nearest moment that can be had.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type BackstayError, isBackstayError } from '../../src/errors/backstay-error.ts'
import type { ErrorCode } from '../../src/errors/codes.ts'
import { addBytes, parseLsn, toLsn } from '../../src/postgres/lsn.ts'
import { parseTimeUs } from '../../src/restore/target-time.ts'
import type { RestoreTarget } from '../../src/restore/wish.ts'
import { MARKER_NAME } from '../../src/restore/marker.ts'
import { runRestore } from '../../src/restore/restore.ts'
import { systemClock } from '../../src/util/clock.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../harness/unprivileged-user.ts'
import { makeAccounts, startLoad } from '../integration/restore/load.ts'
import { plan, prepare, restore } from '../integration/restore/restore-files.ts'
import { startVault, type Vault } from '../integration/restore/vault.ts'

async function refused(work: Promise<unknown>, code: ErrorCode): Promise<BackstayError> {
  try {
    await work
  } catch (error) {
    assert.ok(isBackstayError(error, code), String((error as Error).stack))
    return error
  }
  return assert.fail(`expected ${code}`)
}

interface Setting extends AsyncDisposable {
  readonly pg: TestServer
  readonly vault: Vault
}

async function setUp(): Promise<Setting> {
  const pg = await startPostgres({ major: 15 })
  const vault = await startVault(pg)
  await makeAccounts(pg)
  return {
    pg,
    vault,
    async [Symbol.asyncDispose]() {
      await vault[Symbol.asyncDispose]()
      await pg[Symbol.asyncDispose]()
    },
  }
}

function timeOf(text: string): RestoreTarget {
  return { type: 'time', timeUs: parseTimeUs(text) ?? assert.fail(text), inclusive: true }
}

function nearestOf(error: BackstayError): Record<'earlier' | 'later', { time: string } | null> {
  return error.details['nearest'] as Record<'earlier' | 'later', { time: string } | null>
}

test('targets before the first backup, after the last WAL, in a gap and on unknown timelines are refused', async (t) => {
  await using setting = await setUp()
  const { pg, vault } = setting
  const { repository } = vault
  const load = await startLoad(pg)
  const before = await load.after(2)
  await load.stop()
  const first = await vault.backup()
  const second = await startLoad(pg, before.round)
  const inGap: Awaited<ReturnType<typeof second.after>>[] = []
  for (let segment = 0; segment < 3; segment += 1) {
    inGap.push(await second.after(2))
    await pg.query('SELECT pg_switch_wal()')
  }
  const last = await second.stop()
  await vault.caughtUp()

  await t.test('a time before the first backup, naming that backup', async () => {
    const error = await refused(
      plan(repository, { backup: 'auto', target: timeOf(before.time) }),
      'TARGET_UNREACHABLE',
    )
    assert.equal(nearestOf(error).later?.time, first.finishedAt.replace('Z', '000Z'))
    assert.equal(nearestOf(error).earlier, null)
  })
  await t.test('an LSN before the first backup', async () => {
    const lsn = addBytes(first.stopLsn, -1)
    const target = { type: 'lsn', lsn, inclusive: true } as const
    await refused(plan(repository, { backup: 'auto', target }), 'TARGET_UNREACHABLE')
  })
  await t.test(
    'a time after the last WAL, unless the receiver knows that nothing happened',
    async () => {
      const target = timeOf(new Date(Date.now() + 60_000).toISOString())
      const error = await refused(plan(repository, { target }), 'TARGET_UNREACHABLE')
      assert.match(error.message, /WAL ends at/)
      const known = await plan(repository, {
        target,
        currentAtUs: BigInt(Date.now() + 120_000) * 1000n,
      })
      assert.equal(known.stopAt.type, 'lsn')
    },
  )
  await t.test('an LSN after the last WAL', async () => {
    const target = { type: 'lsn', lsn: toLsn(1n << 40n), inclusive: true } as const
    await refused(plan(repository, { target }), 'TARGET_UNREACHABLE')
  })
  await t.test('a transaction and a restore point that never were', async () => {
    const xid = { type: 'xid', xid: 4_000_000_000, inclusive: true } as const
    const error = await refused(
      plan(repository, { target: xid, backup: 'auto' }),
      'TARGET_UNREACHABLE',
    )
    assert.match(error.message, /is not in the WAL/)
    await refused(
      plan(repository, { target: { type: 'name', name: 'nowhere' } }),
      'TARGET_UNREACHABLE',
    )
  })
  await t.test('a timeline that is not there', async () => {
    const error = await refused(plan(repository, { timeline: 7 }), 'TARGET_UNREACHABLE')
    assert.match(error.message, /timeline 7 is not in the repository, only 1/)
  })
  await t.test('everything behind a gap, naming the last moment before it', async () => {
    await vault.stop()
    const third = inGap[1] ?? assert.fail()
    const lsn = parseLsn(third.lsn) ?? assert.fail()
    await removeSegment(repository.store.location, lsn)
    const targets: RestoreTarget[] = [
      { type: 'none' },
      timeOf(last.time),
      { type: 'lsn', lsn, inclusive: true },
      { type: 'xid', xid: last.xid, inclusive: true },
      { type: 'name', name: last.name },
    ]
    for (const target of targets) {
      const error = await refused(
        plan(repository, { target, backup: 'auto' }),
        'TARGET_UNREACHABLE',
      )
      assert.equal(error.details['reason'], 'gap', target.type)
      assert.match(error.message, /WAL of timeline 1 from .* is missing/)
      assert.ok(nearestOf(error).earlier !== null)
    }
    await plan(repository, { target: timeOf(inGap[0]?.time ?? ''), backup: 'auto' })
  })
})

async function removeSegment(repository: string, lsn: bigint): Promise<void> {
  const number = lsn / (16n * 1024n * 1024n)
  const low = number.toString(16).toUpperCase().padStart(8, '0')
  const folder = join(repository, 'shop/wal/00000001/00000000')
  const name = (await readdir(folder)).find((each) => each.endsWith(`${low}.zst`))
  await rm(join(folder, name ?? assert.fail(low)))
}

test('directories that hold something else, run, or lie in the wrong place are refused', async (t) => {
  await using setting = await setUp()
  const { pg, vault } = setting
  const { repository, base } = vault
  await vault.backup()
  await vault.caughtUp()
  const directory = join(base, 'taken')
  await mkdir(directory)
  await writeFile(join(directory, 'precious'), 'x')

  await t.test('one that is not empty, with delta too', async () => {
    await refused(restore(repository, { directory }), 'DIRECTORY_FOREIGN')
    await refused(restore(repository, { directory, isDelta: true }), 'DIRECTORY_FOREIGN')
    assert.deepEqual(await readdir(directory), ['precious'])
  })
  await t.test('one that is a file', async () => {
    const path = join(directory, 'precious')
    await refused(restore(repository, { directory: path }), 'DIRECTORY_FOREIGN')
  })
  await t.test('one on which a server runs, with delta too', async () => {
    await refused(restore(repository, { directory: pg.directory }), 'SERVER_RUNNING')
    await refused(restore(repository, { directory: pg.directory, isDelta: true }), 'SERVER_RUNNING')
  })
  await t.test('one of another cluster, with delta', async () => {
    await using other = await startPostgres({ major: 15, ownIdentifier: true, stopped: true })
    const wish = { directory: other.directory, isDelta: true }
    await refused(restore(repository, wish), 'POSTGRES_IDENTITY')
    await other.start()
  })
  await t.test('a copy whose tablespace is that of a running server, with delta', async () => {
    const space = join(base, 'space')
    await mkdir(space)
    if (isRoot) await chown(space, unprivilegedUser.uid, unprivilegedUser.gid)
    await pg.query(`CREATE TABLESPACE space LOCATION '${space}'`)
    await pg.query('CREATE TABLE s TABLESPACE space AS SELECT 1')
    await vault.backup()
    const copy = join(base, 'copy-with-links')
    await cp(pg.directory, copy, { recursive: true, verbatimSymlinks: true })
    await rm(join(copy, 'postmaster.pid'))
    const wish = { directory: copy, isDelta: true, allowDataLoss: true, tablespaceRoots: [base] }
    const error = await refused(restore(repository, wish), 'SERVER_RUNNING')
    assert.match(error.message, /the server that runs on .* uses it/)
    await refused(
      restore(repository, { directory: join(base, 'fresh'), tablespaceRoots: [base] }),
      'SERVER_RUNNING',
    )
  })
  await t.test('one in the repository, the root directory, a relative one', async () => {
    const inside = join(repository.store.location, 'x')
    await refused(restore(repository, { directory: inside, tablespaceRoots: [base] }), 'USAGE')
    await refused(restore(repository, { directory: '/', tablespaceRoots: [base] }), 'USAGE')
    await refused(restore(repository, { directory: 'data', tablespaceRoots: [base] }), 'USAGE')
  })
  await t.test('with delta, one whose pg_wal holds WAL that is nowhere else', async () => {
    await vault.stop()
    await pg.query('CREATE TABLE unsaved AS SELECT 1')
    await pg.stop()
    const copy = join(base, 'copy')
    await cp(pg.directory, copy, { recursive: true })
    const wish = { directory: copy, isDelta: true, tablespaceRoots: [base] }
    const error = await refused(restore(repository, wish), 'DATA_LOSS')
    assert.match(error.message, /pg_wal holds WAL that is not in the repository/)
    assert.ok(existsSync(join(copy, 'global/pg_control')))
    await restore(repository, { ...wish, allowDataLoss: true })
    await pg.start()
  })
})

test(
  'a disk without room is refused before the first byte, and named when it fills up on the way',
  { skip: isRoot ? false : 'only root can mount a small file system' },
  async () => {
    await using setting = await setUp()
    const { vault } = setting
    await vault.backup()
    await vault.caughtUp()
    await using small = await smallFileSystem(8)
    if (small === undefined) return
    const directory = join(small.path, 'data')
    const error = await refused(restore(vault.repository, { directory }), 'DISK_SPACE')
    assert.match(error.message, /needs .* MB and .* MB are free/)
    assert.ok(!existsSync(directory))

    // The backup fits, the WAL that is to be copied beside it does not.
    const bytes = (await plan(vault.repository, {})).bytesToWrite
    await using tight = await smallFileSystem(Math.ceil(bytes / 1024 / 1024) + 8)
    if (tight === undefined) return
    const beside = join(tight.path, 'data')
    await prepare(vault.repository, { directory: beside })
    await refused(prepare(vault.repository, { directory: beside, copiesWal: true }), 'DISK_SPACE')

    await using large = await smallFileSystem(64)
    if (large === undefined) return
    const filled = join(large.path, 'data')
    const prepared = await prepare(vault.repository, { directory: filled })
    await writeFile(join(large.path, 'ballast'), Buffer.alloc(50 * 1024 * 1024, 1))
    const running = runRestore(prepared, {
      repository: vault.repository,
      clock: systemClock,
      recovery: { restoreCommand: 'false', keepArchiving: false, port: undefined },
      owner: undefined,
      workers: 2,
    })
    const full = await refused(running, 'DISK_SPACE')
    assert.match(full.message, /no space left/)
    assert.ok(existsSync(join(filled, MARKER_NAME)))
    assert.ok(!existsSync(join(filled, 'global/pg_control')))
  },
)

async function smallFileSystem(
  megabytes: number,
): Promise<({ path: string } & AsyncDisposable) | undefined> {
  const base = temporaryDirectory()
  const path = join(base.path, 'mount')
  await mkdir(path)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], {
      stdio: 'ignore',
    })
  } catch {
    await base[Symbol.asyncDispose]()
    return undefined
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      execFileSync('umount', [path])
      await base[Symbol.asyncDispose]()
    },
  }
}
