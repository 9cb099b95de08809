/** What `wal push` accepts and refuses, with real segments and as archive_command of a real server. */
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { BackstayError } from '../../../src/errors/backstay-error.ts'
import type { ErrorCode } from '../../../src/errors/codes.ts'
import type { ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { pushWalContent, pushWalFile } from '../../../src/wal/push.ts'
import { readWalFile } from '../../../src/wal/read-wal-file.ts'
import { matrixMajors, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'
import { claimFor, giveToServer, LOAD, switchWal } from './support.ts'

interface Stage extends AsyncDisposable {
  readonly pg: TestServer
  readonly repository: ClusterRepository
  readonly folder: string
  /** A finished segment of the server. */
  readonly name: string
  readonly path: string
}

async function setStage(options: { ownIdentifier?: boolean } = {}): Promise<Stage> {
  const folder = temporaryDirectory()
  const pg = await startPostgres({ major: 18, ...options })
  const repository = await claimFor(pg, folder.path)
  await pg.query(LOAD)
  const name = await switchWal(pg)
  return {
    pg,
    repository,
    folder: folder.path,
    name,
    path: join(pg.directory, 'pg_wal', name),
    async [Symbol.asyncDispose]() {
      await pg[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

async function refused(work: Promise<unknown>, code: ErrorCode, text: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof BackstayError)
    assert.equal(error.code, code, error.message)
    assert.match(error.message, text)
    return true
  })
}

describe('pushWalFile', () => {
  it('stores a segment, and the same again changes nothing', async () => {
    await using stage = await setStage()
    assert.equal(await pushWalFile(stage.repository, stage.path), 'stored')
    assert.equal(await pushWalFile(stage.repository, stage.path), 'present')
    const stored = await stage.repository.wal.getSegment(stage.name)
    assert.ok(stored?.equals(readFileSync(stage.path)))
  })

  it('refuses other content under the same name and keeps what it has', async () => {
    await using stage = await setStage()
    await pushWalFile(stage.repository, stage.path)
    // After the switch, where nothing is judged: both are right, and not the same.
    const other = readFileSync(stage.path)
    other.writeUInt8(other.readUInt8(other.length - 1) ^ 1, other.length - 1)
    await refused(
      pushWalContent(stage.repository, stage.name, other),
      'WAL_CONFLICT',
      /already with other content/,
    )
    const stored = await stage.repository.wal.getSegment(stage.name)
    assert.ok(stored?.equals(readFileSync(stage.path)))
  })

  it('refuses a segment with one wrong bit, and lets the true one take the place of a damaged one', async () => {
    await using stage = await setStage()
    const { repository, name, path } = stage
    const damaged = readFileSync(path)
    damaged.writeUInt8(damaged.readUInt8(100_000) ^ 1, 100_000)
    await refused(pushWalContent(repository, name, damaged), 'WAL_INVALID', /wrong CRC|record/)
    const hollow = readFileSync(path)
    hollow.fill(0, 20 * 8192, 21 * 8192)
    await refused(pushWalContent(repository, name, hollow), 'WAL_INVALID', /zeros from page/)
    assert.equal(await repository.wal.hasSegment(name), false)
    await repository.wal.putSegment(name, damaged)
    assert.equal(await pushWalFile(repository, path), 'replaced')
    assert.ok((await repository.wal.getSegment(name))?.equals(readFileSync(path)))
    const kept = []
    for await (const object of repository.store.list(repository.names.wal)) kept.push(object)
    assert.match(kept.join(' '), new RegExp(`${name}\\.[0-9A-F]{16}\\.damaged\\.zst`))
  })

  it('refuses what is not the segment its name says', async () => {
    await using stage = await setStage()
    await using foreign = await setStage({ ownIdentifier: true })
    const { repository, name } = stage
    const content = readFileSync(stage.path)
    const next = name.replace(/.$/, (digit) =>
      ((Number.parseInt(digit, 16) + 1) % 16).toString(16).toUpperCase(),
    )
    const invalid = async (bytes: Buffer, as: string, text: RegExp): Promise<void> =>
      refused(pushWalContent(repository, as, Buffer.from(bytes)), 'WAL_INVALID', text)
    await invalid(content, next, /its name says/)
    await invalid(readFileSync(foreign.path), foreign.name, /system identifier/)
    await invalid(content.subarray(0, 1_000_000), name, /bytes/)
    await invalid(Buffer.alloc(content.length), name, /zeros/)
    await invalid(Buffer.alloc(content.length, 7), name, /magic/)
    await invalid(content, 'base.tar', /none of a WAL file/)
    await invalid(Buffer.from('nonsense'), '00000002.history', /no timeline history/)
    await invalid(Buffer.from('nonsense'), `${name}.00000028.backup`, /backup-history/)
    assert.equal(await repository.wal.hasSegment(name), false)
    await refused(pushWalFile(repository, '/nowhere/at/all', name), 'WAL_MISSING', /Cannot read/)
  })

  it('refuses a segment of a timeline older than its content', async () => {
    await using stage = await setStage()
    const content = readFileSync(stage.path)
    content.writeUInt32LE(2, 4)
    await refused(pushWalContent(stage.repository, stage.name, content), 'WAL_INVALID', /timeline/)
  })

  it('stores history and backup-history files, and gives them back', async () => {
    await using stage = await setStage()
    const history = Buffer.from('1\t0/3000100\tno recovery target specified\n')
    await pushWalContent(stage.repository, '00000002.history', history)
    const found = await readWalFile(stage.repository, '00000002.history')
    assert.ok(found?.content.equals(history))
    const label = Buffer.from('START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n')
    const name = `${stage.name}.00000028.backup`
    await pushWalContent(stage.repository, name, label)
    assert.ok((await readWalFile(stage.repository, name))?.content.equals(label))
  })

  it('cuts a partial segment after its last record', async () => {
    await using stage = await setStage()
    await stage.pg.query('create table part as select generate_series(1, 100)')
    const [row] = await stage.pg.query(
      'select pg_walfile_name(pg_current_wal_insert_lsn()) as name',
    )
    const current = String(row?.['name'])
    const content = readFileSync(join(stage.pg.directory, 'pg_wal', current))
    const withOldWal = Buffer.from(content)
    readFileSync(stage.path).copy(withOldWal, 8_000_000, 8_000_000)
    assert.equal(await pushWalContent(stage.repository, `${current}.partial`, withOldWal), 'stored')
    const found = await readWalFile(stage.repository, current)
    assert.equal(found?.from, 'partial')
    assert.ok(found.content.subarray(8_000_000).every((byte) => byte === 0))
    assert.ok(found.content.subarray(0, 8192).equals(content.subarray(0, 8192)))
  })
})

for (const major of matrixMajors()) {
  it(`works as archive_command of PostgreSQL ${major}`, async () => {
    await using folder = temporaryDirectory()
    const launcher = join(import.meta.dirname, '../../../bin/backstay.js')
    const words = [process.execPath, launcher, 'wal', 'push', '--repository', folder.path]
    await using pg = await startPostgres({
      major,
      settings: {
        archive_mode: 'on',
        archive_command: `${words.join(' ')} --cluster shop "%p"`,
      },
    })
    const repository = await claimFor(pg, folder.path)
    giveToServer(folder.path)
    await pg.query(LOAD)
    const name = await switchWal(pg)
    await until('the segment to be archived', async () => repository.wal.hasSegment(name), 30_000)
    const stored = await repository.wal.getSegment(name)
    const kept = join(folder.path, 'kept')
    copyFileSync(join(pg.directory, 'pg_wal', name), kept)
    assert.ok(stored?.equals(readFileSync(kept)))
    const [archiver] = await pg.query('select failed_count::int as failed from pg_stat_archiver')
    assert.equal(archiver?.['failed'], 0)
  })
}
