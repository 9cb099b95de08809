/**
 * Whatever is damaged in a repository is found and named by verification, and never called good.
 */
import assert from 'node:assert/strict'
import { open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import type { VerifyReport } from '../../src/backup/verify/report.ts'
import { verifyBackup, type VerifyOptions } from '../../src/backup/verify/verify-backup.ts'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import type { BackupId, BackupInfo } from '../../src/repository/backup-info.ts'
import { openCluster } from '../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { nodeFileSystem } from '../../src/store/file-system.ts'
import { systemClock } from '../../src/util/clock.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../harness/postgres.ts'
import type { TemporaryDirectory } from '../harness/temporary-directory.ts'
import { backUp, readRepository } from '../integration/backup/support.ts'

const OPTIONS: VerifyOptions = {
  samplePercent: 100,
  seed: 0,
  sinceMs: undefined,
  signal: AbortSignal.timeout(300_000),
  onProgress: () => {},
}

async function verify(
  directory: string,
  id: BackupId,
  changes: Partial<VerifyOptions> = {},
): Promise<VerifyReport> {
  const cluster = await openCluster(new DiskStore(directory), 'test', systemClock)
  return await verifyBackup(cluster, id, { ...OPTIONS, ...changes })
}

let pg: TestServer
let base: TemporaryDirectory
let repository: string
let backup: BackupInfo
let later: BackupInfo

before(async () => {
  pg = await startPostgres({ major: 18, settings: { summarize_wal: 'on', wal_keep_size: '256MB' } })
  base = temporaryDirectory()
  repository = join(base.path, 'repository')
  await pg.query(
    `create table t as select g as id, md5(g::text) as text from generate_series(1, 20000) g`,
  )
  backup = await backUp(pg, repository)
  await pg.query(`update t set text = 'x' where id < 50`)
  later = await backUp(pg, repository)
})

after(async () => {
  await pg[Symbol.asyncDispose]()
  await base[Symbol.asyncDispose]()
})

/** Damages a file, runs `work`, and puts the file back. */
async function damaged(
  path: string,
  damage: (file: string) => Promise<void>,
  work: () => Promise<void>,
): Promise<void> {
  const file = join(repository, path)
  const content = await readFile(file)
  try {
    await damage(file)
    await work()
  } finally {
    await rm(file, { force: true })
    await writeFile(file, content, { mode: 0o600 })
  }
}

const FRAME_MAGIC = Buffer.from('28b52ffd', 'hex')

/**
 * Flips a bit of a pack or segment at that share of it, or at the next byte where that is no damage: zstd's decoder does not look at each bit of a
 * frame, and what such a one says is not what comes back.
 */
const flipInPack = (share: number) => async (file: string) => {
  const pack = await readFile(file)
  const at = pack.findIndex(
    (_, index) => index >= (pack.length - 1) * share - 1 && matters(pack, index),
  )
  assert.notEqual(at, -1)
  pack[at] = (pack[at] ?? 0) ^ 0x10
  await writeFile(file, pack)
}

function matters(pack: Buffer, at: number): boolean {
  const begin = pack.lastIndexOf(FRAME_MAGIC, at)
  const end = pack.indexOf(FRAME_MAGIC, at + 1)
  const frame = pack.subarray(begin, end === -1 ? pack.length : end)
  const flipped = Buffer.from(frame)
  flipped[at - begin] = (flipped[at - begin] ?? 0) ^ 0x10
  try {
    return !zstdDecompressSync(flipped).equals(zstdDecompressSync(frame))
  } catch {
    return true
  }
}

const flipAt = (share: number) => async (file: string) => {
  const handle = await open(file, 'r+')
  const { size } = await handle.stat()
  const byte = Buffer.alloc(1)
  const at = Math.floor((size - 1) * share)
  await handle.read(byte, 0, 1, at)
  byte[0] = (byte[0] ?? 0) ^ 0x10
  await handle.write(byte, 0, 1, at)
  await handle.close()
}

const packOf = (info: BackupInfo): string => `test/packs/${info.packs.at(-1)?.name}.pack`
const firstSegment = async (): Promise<string> => {
  const files = await readdir(join(repository, 'test/wal'), { recursive: true })
  const timeline = backup.startLsn / BigInt(backup.postgres.segmentBytes)
  const name = `${timeline.toString(16).toUpperCase().padStart(8, '0')}.zst`
  return `test/wal/${files.find((file) => file.endsWith(name))}`
}

describe('verification', () => {
  it('finds nothing wrong in a good backup and says how much it read', async () => {
    for (const info of [backup, later]) {
      const report = await verify(repository, info.id)
      assert.deepEqual(report.problems, [])
      assert.ok(report.isGood)
      assert.equal(report.files, info.files)
      assert.ok(report.pagesChecked > 1000)
      assert.ok(report.walSegments >= 1)
      assert.equal(report.unitsSkipped, 0)
    }
  })

  for (const share of [0.01, 0.2, 0.5, 0.8, 0.999]) {
    it(`finds a flipped bit at ${share * 100} % of a pack, in every backup that uses it`, async () => {
      await damaged(packOf(backup), flipInPack(share), async () => {
        const reports = [await verify(repository, backup.id), await verify(repository, later.id)]
        assert.ok(
          reports.some(
            (report) => !report.isGood && report.problems.every(({ subject }) => subject !== ''),
          ),
        )
        assert.ok(!reports[0]?.isGood)
      })
    })
  }

  it('finds a truncated pack', async () => {
    await damaged(
      packOf(backup),
      async (file) => truncate(file, 100_000),
      async () => {
        const { problems } = await verify(repository, later.id)
        assert.ok(
          problems.some(
            ({ subject, problem }) => subject === packOf(backup) && /100000 bytes/.test(problem),
          ),
        )
        assert.ok(problems.some(({ problem }) => /the pack ends at byte 100000/.test(problem)))
      },
    )
  })

  it('finds a missing pack', async () => {
    await damaged(packOf(later), rm, async () => {
      const { problems } = await verify(repository, later.id)
      assert.ok(problems.some(({ problem }) => /missing/.test(problem)))
      assert.ok((await verify(repository, backup.id)).isGood, 'the older backup does not need it')
    })
  })

  for (const share of [0, 0.3, 0.7, 1]) {
    it(`finds a flipped bit at ${share * 100} % of a manifest`, async () => {
      await damaged(`test/backups/${backup.id}/manifest.zst`, flipAt(share), async () => {
        assert.ok(!(await verify(repository, backup.id)).isGood)
      })
    })
  }

  it("finds another backup's manifest in its place", async () => {
    const other = await readFile(join(repository, `test/backups/${later.id}/manifest.zst`))
    await damaged(
      `test/backups/${backup.id}/manifest.zst`,
      async (file) => writeFile(file, other),
      async () => {
        const { problems } = await verify(repository, backup.id)
        assert.ok(problems.some(({ problem }) => problem.includes(later.id)))
      },
    )
  })

  it('finds a damaged backup.json', async () => {
    await damaged(`test/backups/${backup.id}/backup.json`, flipAt(0.5), async () => {
      const { problems } = await verify(repository, backup.id)
      assert.match(problems[0]?.problem ?? '', /its checksum is wrong/)
    })
  })

  it('finds a flipped bit in WAL the backup needs', async () => {
    await damaged(await firstSegment(), flipInPack(0.5), async () => {
      const { problems } = await verify(repository, backup.id)
      assert.ok(problems.some(({ subject }) => subject.startsWith('test/wal/')))
    })
  })

  it('finds that WAL the backup needs is missing', async () => {
    await damaged(await firstSegment(), rm, async () => {
      const { problems } = await verify(repository, backup.id)
      assert.ok(problems.some(({ problem }) => /WAL is missing from/.test(problem)))
    })
  })

  it('reads only a sample when asked, and another one with another seed', async () => {
    const all = await verify(repository, backup.id)
    const samples = [
      await verify(repository, backup.id, { samplePercent: 30, seed: 1 }),
      await verify(repository, backup.id, { samplePercent: 30, seed: 2 }),
    ]
    for (const sample of samples) {
      assert.ok(sample.isGood && sample.unitsRead < all.unitsRead)
      assert.equal(sample.unitsRead + sample.unitsSkipped, all.unitsRead)
    }
  })

  it('does not read again what was verified since, also through a later backup', async () => {
    const startMs = systemClock.now()
    await verify(repository, backup.id)
    const again = await verify(repository, later.id, { sinceMs: startMs })
    assert.ok(again.isGood && again.unitsSkipped > 0)
    assert.ok(again.unitsRead < again.unitsSkipped)
    const fresh = await verify(repository, later.id, { sinceMs: systemClock.now() + 1000 })
    assert.equal(fresh.unitsSkipped, 0)
  })
})

describe('the standalone reader', () => {
  it('refuses damage instead of restoring it', async () => {
    const refuses = (target: string) =>
      assert.rejects(
        readRepository(repository, 'test', backup.id, join(base.path, target)),
        /read-repository: /,
      )
    await damaged(packOf(backup), flipInPack(0.5), () => refuses('a'))
    await damaged(`test/backups/${backup.id}/manifest.zst`, flipAt(0.5), () => refuses('b'))
    await damaged(`test/backups/${backup.id}/backup.json`, flipAt(0.5), () => refuses('c'))
    await damaged(await firstSegment(), flipInPack(0.5), () => refuses('d'))
    await damaged(packOf(backup), rm, () => refuses('e'))
    for (const target of ['a', 'b', 'c', 'd', 'e']) {
      const files = await readdir(join(base.path, target, 'global')).catch((): string[] => [])
      assert.ok(!files.includes('pg_control'), 'a directory that is not complete does not start')
    }
  })
})

describe('taking a backup', () => {
  it('refuses a repository that holds another cluster under the name', async () => {
    await using other = await startPostgres({ major: 18, ownIdentifier: true })
    await assert.rejects(backUp(other, repository), (error) =>
      isBackstayError(error, 'POSTGRES_IDENTITY'),
    )
  })

  it('goes on when an older backup is damaged, and deletes nothing then', async () => {
    await damaged(`test/backups/${backup.id}/backup.json`, flipAt(0.5), async () => {
      const warnings: string[] = []
      const info = await backUp(pg, repository, {
        onEvent: (event) => void (event.kind === 'warning' && warnings.push(event.text)),
      })
      assert.ok((await verify(repository, info.id)).isGood)
      assert.match(warnings.join(), /Cannot tell what may be deleted/)
    })
    assert.ok((await verify(repository, backup.id)).isGood)
  })

  for (const [what, path, damage] of [
    ['a pack of the reference is missing', packOf, rm],
    ['a pack of the reference is cut', packOf, async (file: string) => truncate(file, 5000)],
    [
      'the manifest of the reference is damaged',
      (info: BackupInfo) => `test/backups/${info.id}/manifest.zst`,
      flipAt(0.5),
    ],
  ] as const) {
    it(`takes a full when ${what}, and says so`, async () => {
      const reference = await backUp(pg, repository, { full: true })
      await damaged(path(reference), damage, async () => {
        const info = await backUp(pg, repository)
        assert.equal(info.type, 'full')
        assert.match(info.fullBecause ?? '', new RegExp(`backup ${reference.id} is damaged`))
        assert.ok((await verify(repository, info.id)).isGood)
      })
    })
  }

  for (const [errno, code] of [
    ['ENOSPC', 'DISK_SPACE'],
    ['EROFS', 'STORE'],
    ['EIO', 'STORE'],
  ] as const) {
    it(`ends with ${code} when the file system says ${errno}, and leaves nothing behind`, async () => {
      const fresh = join(base.path, `full-${errno}`)
      let bytes = 0
      const files = {
        ...nodeFileSystem,
        createFile: async (path: string) => {
          const file = await nodeFileSystem.createFile(path)
          return {
            ...file,
            append: (parts: readonly Uint8Array[]) => {
              bytes += parts.reduce((sum, part) => sum + part.byteLength, 0)
              if (bytes > 1_000_000) throw Object.assign(new Error(errno), { code: errno })
              return file.append(parts)
            },
          }
        },
      }
      const store = new DiskStore(fresh, files)
      await assert.rejects(backUp(pg, fresh, { store }), (error) => isBackstayError(error, code))
      const left = (await readdir(fresh, { recursive: true })).filter((path) =>
        /packs\/|backups\/|tmp$/.test(path),
      )
      assert.deepEqual(left, [])
    })
  }

  it('stops when it is told to, and leaves nothing behind', async () => {
    const fresh = join(base.path, 'aborted')
    const abort = new AbortController()
    const reason = new Error('stop')
    const onEvent = (event: { kind: string; step?: string }): void => {
      if (event.step === 'receiving') setTimeout(() => abort.abort(reason), 50)
    }
    await assert.rejects(
      backUp(pg, fresh, { signal: abort.signal, onEvent, maxRateBytes: 1024 * 1024 }),
      (error) => error === reason || isBackstayError(error),
    )
    const left = (await readdir(fresh, { recursive: true })).filter((path) =>
      /packs\/|backups\/|tmp$/.test(path),
    )
    assert.deepEqual(left, [])
  })
})
