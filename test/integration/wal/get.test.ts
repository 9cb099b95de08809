/** `wal get`: where files are found, what PostgreSQL is told, and the prefetch beside it. */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { claimCluster, type ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { getWalFile } from '../../../src/wal/get.ts'
import { fillerToken } from '../../../src/wal/prefetch-folder.ts'
import { prefetchSegments } from '../../../src/wal/prefetch.ts'
import { spoolFileName } from '../../../src/wal/spool-names.ts'
import { spoolOf } from '../../../src/wal/spool-place.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'
import { backstay } from '../cli/programs.ts'

const SEGMENT_BYTES = 1024 * 1024
const nameOf = (number: number): string =>
  `0000000100000000${number.toString(16).toUpperCase().padStart(8, '0')}`
const contentOf = (number: number): Buffer => Buffer.alloc(SEGMENT_BYTES, number)

interface Stage extends AsyncDisposable {
  readonly folder: string
  readonly repository: ClusterRepository
  /** Of the file recovery wants. */
  readonly target: string
}

async function setStage(numbers: readonly number[]): Promise<Stage> {
  const folder = temporaryDirectory()
  const repository = await claimCluster({
    store: new DiskStore(folder.path),
    name: 'shop',
    server: { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES },
    clock: systemClock,
  })
  for (const number of numbers) await repository.wal.putSegment(nameOf(number), contentOf(number))
  const pgWal = join(folder.path, 'pg_wal')
  mkdirSync(pgWal)
  return {
    folder: folder.path,
    repository,
    target: join(pgWal, 'RECOVERYXLOG'),
    [Symbol.asyncDispose]: async () => folder[Symbol.asyncDispose](),
  }
}

describe('getWalFile', () => {
  it('prefers the finished segment, then the spool, then the longest partial', async () => {
    await using stage = await setStage([1])
    const { repository, target } = stage
    const get = async (): Promise<string> => getWalFile(repository, { name: nameOf(2), target })
    await repository.wal.putPartial(nameOf(2), Buffer.alloc(8192, 3))
    await repository.wal.putPartial(nameOf(2), Buffer.alloc(16_384, 4))
    assert.equal(await get(), 'partial')
    const partial = readFileSync(target)
    assert.equal(partial.length, SEGMENT_BYTES)
    assert.ok(partial.subarray(0, 16_384).equals(Buffer.alloc(16_384, 4)))

    const { directory } = spoolOf(repository)
    mkdirSync(directory, { recursive: true })
    const spooled = join(directory, spoolFileName({ timeline: 1, number: 2n }, SEGMENT_BYTES))
    writeFileSync(spooled, Buffer.alloc(20_000, 5))
    assert.equal(await get(), 'spool')
    assert.equal(readFileSync(target).length, SEGMENT_BYTES)

    await repository.wal.putSegment(nameOf(2), contentOf(2))
    assert.equal(await get(), 'repository')
    assert.ok(readFileSync(target).equals(contentOf(2)))
  })

  it('leaves nothing behind when it cannot write', async () => {
    await using stage = await setStage([1])
    const target = join(stage.folder, 'nowhere', 'file')
    await assert.rejects(getWalFile(stage.repository, { name: nameOf(1), target }), (error) =>
      isBackstayError(error, 'FAILED'),
    )
  })
})

describe('wal get', () => {
  const call = async (stage: Stage, ...words: string[]): Promise<number | null> => {
    const place = ['--repository', stage.folder, '--cluster', 'shop']
    const { code } = await backstay(['wal', 'get', ...place, ...words])
    return code
  }

  it('ends with 1 only for what is not there', async () => {
    await using stage = await setStage([1, 2])
    assert.equal(await call(stage, nameOf(1), stage.target), 0)
    assert.ok(readFileSync(stage.target).equals(contentOf(1)))
    assert.equal(await call(stage, nameOf(9), stage.target), 1)
    assert.equal(await call(stage, '00000002.history', stage.target), 1)
  })

  it('stops recovery at a hole below WAL that is held, here and through the gate, but not a standby', async () => {
    await using stage = await setStage([1, 3])
    assert.equal(await call(stage, nameOf(2), stage.target), 126)
    assert.ok(!existsSync(stage.target))
    assert.equal(await call(stage, '--standby', nameOf(2), stage.target), 1)
    assert.equal(await call(stage, nameOf(4), stage.target), 1)
    const gate = async (name: string): Promise<number | null> => {
      const words = ['gate', '--repository', stage.folder, '--cluster', 'shop']
      const environment = { SSH_ORIGINAL_COMMAND: `wal get ${name}` }
      return (await backstay(words, { env: environment })).code
    }
    assert.equal(await gate(nameOf(1)), 0)
    assert.equal(await gate(nameOf(2)), 126)
    assert.equal(await gate(nameOf(4)), 1)
  })

  it('tells a hole from the end of a timeline and from what lies before it', async () => {
    const hex = (timeline: number, number: number): string =>
      `0000000${timeline}${nameOf(number).slice(8)}`
    await using stage = await setStage([1, 2])
    const { repository, target } = stage
    // Timeline 2 leaves 1 inside segment 4, timeline 3 leaves 2 inside segment 6.
    const history = (text: string): Buffer => Buffer.from(text)
    await repository.wal.putHistory(2, history('1\t0/480000\tx\n'))
    await repository.wal.putHistory(3, history('1\t0/480000\tx\n2\t0/680000\tx\n'))
    await repository.wal.putSegment(hex(2, 4), contentOf(4))
    await repository.wal.putSegment(hex(3, 6), contentOf(6))
    const code = async (name: string): Promise<string> => {
      const got = getWalFile(repository, { name, target })
      return await got.then(
        () => 'OK',
        (error: unknown) => (isBackstayError(error) ? error.code : String(error)),
      )
    }
    assert.equal(await code(hex(1, 3)), 'WAL_HOLE', 'timeline 1 up to where 2 began')
    assert.equal(await code(hex(2, 5)), 'WAL_HOLE', 'timeline 2 up to where 3 began')
    assert.equal(await code(hex(2, 3)), 'WAL_MISSING', 'before timeline 2 began')
    assert.equal(await code(hex(1, 4)), 'WAL_MISSING', 'held of timeline 2')
    assert.equal(await code(hex(3, 7)), 'WAL_MISSING', 'the end')
    await repository.wal.putPartial(hex(3, 8), contentOf(8).subarray(0, 9000))
    assert.equal(await code(hex(3, 7)), 'WAL_HOLE', 'below an unfinished segment')
  })

  it('stops recovery for a damaged segment, but not a standby', async () => {
    await using stage = await setStage([1])
    const path = join(stage.folder, 'shop/wal/00000001/00000000', `${nameOf(1)}.zst`)
    const frame = readFileSync(path)
    frame.writeUInt8(frame.readUInt8(20) ^ 1, 20)
    writeFileSync(`${path}.new`, frame)
    renameSync(`${path}.new`, path)
    assert.equal(await call(stage, nameOf(1), stage.target), 126)
    assert.ok(!existsSync(stage.target))
    assert.equal(await call(stage, '--standby', nameOf(1), stage.target), 1)
  })

  it('stops recovery when the repository is not there', async () => {
    await using stage = await setStage([])
    const place = ['--repository', join(stage.folder, 'gone'), '--cluster', 'shop']
    const { code } = await backstay(['wal', 'get', ...place, nameOf(1), stage.target])
    assert.equal(code, 126)
  })

  it('stops recovery for a mistyped option', async () => {
    await using stage = await setStage([1])
    assert.equal(await call(stage, '--standbye', nameOf(1), stage.target), 126)
  })

  it('prefetches what follows in the background', async () => {
    await using stage = await setStage([1, 2, 3, 4])
    assert.equal(await call(stage, nameOf(1), stage.target), 0)
    const folder = join(stage.folder, 'pg_wal/.backstay')
    const waiting = (): string[] =>
      readdirSync(folder, { recursive: true })
        .map((name) => String(name).slice(-24))
        .filter((name) => /^[0-9A-F]{24}$/.test(name))
        .toSorted()
    await until('three segments to wait', () => existsSync(folder) && waiting().length === 3)
    assert.deepEqual(waiting(), [nameOf(2), nameOf(3), nameOf(4)])
    for (const number of [2, 3, 4]) {
      assert.equal(await call(stage, nameOf(number), stage.target), 0)
      assert.ok(readFileSync(stage.target).equals(contentOf(number)))
    }
    await until('the prefetch to leave', () => readdirSync(folder).length === 0)
  })
})

describe('prefetchSegments', () => {
  const waitingIn = (directory: string): string[] =>
    existsSync(directory) ? readdirSync(directory).filter((name) => !name.startsWith('.')) : []
  const from = { timeline: 1, number: 1n }
  const token = fillerToken(process.pid)

  it('keeps no more waiting than it may, and goes on as they are taken', async () => {
    await using stage = await setStage([1, 2, 3, 4, 5, 6, 7, 8])
    const directory = join(stage.folder, 'prefetch')
    const { repository } = stage
    const stop = new AbortController()
    const running = prefetchSegments({ repository, directory, from, token, ahead: 3 }, stop.signal)
    for (let number = 1; number <= 8; number += 1) {
      const path = join(directory, nameOf(number))
      await until(`segment ${number}`, () => existsSync(path))
      assert.ok(waitingIn(directory).length <= 3)
      renameSync(path, stage.target)
      assert.ok(readFileSync(stage.target).equals(contentOf(number)))
    }
    await running
    assert.ok(!existsSync(directory), 'the folder is removed')
  })

  it('gives way to a newer one', async () => {
    await using stage = await setStage([1, 2, 3, 4])
    const directory = join(stage.folder, 'prefetch')
    const { repository } = stage
    const { signal } = new AbortController()
    const first = prefetchSegments({ repository, directory, from, token, ahead: 1 }, signal)
    await until('the first to work', () => waitingIn(directory).length > 0)
    const later = { timeline: 1, number: 3n }
    const stop = new AbortController()
    const second = prefetchSegments(
      { repository, directory, from: later, token: fillerToken(process.pid, 2), ahead: 9 },
      stop.signal,
    )
    await first
    await until('the second to work', () => waitingIn(directory).includes(nameOf(4)))
    stop.abort()
    await second
  })

  it('leaves when nobody takes what waits', async () => {
    await using stage = await setStage([1, 2])
    const directory = join(stage.folder, 'prefetch')
    const { repository } = stage
    const { signal } = new AbortController()
    await prefetchSegments(
      { repository, directory, from, token, ahead: 9, idleTimeoutMs: 100 },
      signal,
    )
    assert.ok(!existsSync(directory))
  })
})
