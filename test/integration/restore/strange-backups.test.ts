/**
 * Backups that are not what they seem to be, and names that are not UTF-8.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { verifyBackup } from '../../../src/backup/verify/verify-backup.ts'
import type { BackupId } from '../../../src/repository/backup-info.ts'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import { openSealedJson, sealJson } from '../../../src/repository/sealed-json.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { backUp, readRepository, verifyAll } from '../backup/support.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/backstay.js')

async function restore(
  repository: string,
  id: string,
  target: string,
): Promise<{ exitCode: number; output: string }> {
  const words = ['restore', id, target, '--repository', repository, '--cluster', 'test']
  return await new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...words], { cwd: '/tmp' }, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : Number(error.code ?? 1)
      resolve({ exitCode, output: stdout + stderr })
    })
  })
}

async function problemsOf(repository: string, id: BackupId): Promise<string[]> {
  const cluster = await openCluster(new DiskStore(repository), 'test', systemClock)
  const report = await verifyBackup(cluster, id, {
    samplePercent: 100,
    seed: 0,
    sinceMs: undefined,
    signal: AbortSignal.timeout(60_000),
    onProgress: () => {},
  })
  return report.problems.map(({ problem }) => problem)
}

describe('a backup', () => {
  it('with the manifest or the description of another one is neither restored nor good', async () => {
    await using directory = temporaryDirectory()
    await using pg = await startPostgres({ major: 18 })
    const repository = join(directory.path, 'repository')
    const first = await backUp(pg, repository)
    const second = await backUp(pg, repository, { full: true })
    const place = (id: string, name: string): string => join(repository, 'test/backups', id, name)
    const target = join(directory.path, 'restored')

    const manifest = await readFile(place(second.id, 'manifest.zst'))
    await copyFile(place(first.id, 'manifest.zst'), place(second.id, 'manifest.zst'))
    const swapped = await restore(repository, second.id, target)
    assert.equal(swapped.exitCode, 13, swapped.output)
    assert.match(swapped.output, /its SHA-256 is [0-9a-f]{64}, and backup\.json says/)
    assert.ok(!existsSync(target))
    await writeFile(place(second.id, 'manifest.zst'), manifest)
    assert.deepEqual(await problemsOf(repository, second.id), [])

    // Sealed anew: an attacker can do that.
    const info = await readFile(place(second.id, 'backup.json'))
    const { checksum: _checksum, ...value } = openSealedJson('backup.json', info)
    const others = [
      [{ ...value, id: first.id }, `it says that it is backup ${first.id}`],
      [
        { ...value, postgres: { ...second.postgres, systemIdentifier: '7' } },
        "it is of system identifier 7, and the repository's is",
      ],
    ] as const
    for (const [other, why] of others) {
      await writeFile(place(second.id, 'backup.json'), sealJson(other))
      const problems = await problemsOf(repository, second.id)
      assert.ok(
        problems.some((problem) => problem.includes(why)),
        problems.join(),
      )
      const refused = await restore(repository, second.id, target)
      assert.equal(refused.exitCode, 13, refused.output)
      assert.ok(!existsSync(target))
    }
  })

  it('keeps names that are not UTF-8 apart, byte by byte, on every way out', async () => {
    await using directory = temporaryDirectory()
    await using pg = await startPostgres({
      major: 18,
      settings: { wal_keep_size: '1GB', summarize_wal: 'on' },
    })
    const names = [
      Buffer.from('odd-\xe9', 'latin1'),
      Buffer.from('odd-\xff', 'latin1'),
      Buffer.from('odd-é'),
    ]
    const at = (folder: string, name: Buffer): Buffer =>
      Buffer.concat([Buffer.from(`${folder}/`), name])
    for (const [n, name] of names.entries()) await writeFile(at(pg.directory, name), `content ${n}`)
    const repository = join(directory.path, 'repository')
    await backUp(pg, repository)
    // The names go to the server and back.
    const info = await backUp(pg, repository)
    assert.equal(info.method, 'incremental', info.fullBecause ?? '')
    await verifyAll(repository)
    const [ours, readers] = [join(directory.path, 'ours'), join(directory.path, 'readers')]
    await readRepository(repository, 'test', info.id, readers)
    const { exitCode, output } = await restore(repository, info.id, ours)
    assert.equal(exitCode, 0, output)
    for (const target of [ours, readers]) {
      for (const [n, name] of names.entries()) {
        assert.equal(await readFile(at(target, name), 'utf8'), `content ${n}`)
      }
    }
    // With --delta only what does not belong goes.
    await writeFile(at(ours, Buffer.from('odd-\xfe', 'latin1')), 'foreign')
    await rm(join(ours, 'PG_VERSION'))
    const words = [
      'restore',
      info.id,
      ours,
      '--repository',
      repository,
      '--cluster',
      'test',
      '--delta',
    ]
    await new Promise<void>((resolve, reject) => {
      execFile(process.execPath, [PROGRAM, ...words], { cwd: '/tmp' }, (error, _stdout, stderr) =>
        error === null ? resolve() : reject(new Error(stderr)),
      )
    })
    const left = (await readdir(ours, { encoding: 'buffer' })).filter((name) =>
      name.includes('odd-'),
    )
    assert.deepEqual(
      left.map((name) => name.toString('hex')).sort(),
      names.map((name) => name.toString('hex')).sort(),
    )
  })
})
