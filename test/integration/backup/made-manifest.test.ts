/**
 * The backup_manifest of an incremental backup describes what is restored.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { crc32c } from '@node-rs/crc32'
import { type BackupManifestFile, manifestCrc32c } from '../../../src/postgres/backup-manifest.ts'
import { BackupManifestReader } from '../../harness/backup-manifest-reader.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { matrixMajors, startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { backUp, readRepository, verifyAll } from './support.ts'

/** What pg_verifybackup leaves out. */
const IGNORED = /^(backup_manifest|pg_wal\/.*|postgresql\.auto\.conf|(recovery|standby)\.signal)$/

async function* textOf(content: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(content)
}

describe('the backup_manifest of an incremental backup', () => {
  for (const major of matrixMajors().filter((each) => each >= 17)) {
    it(`names every file that is restored, with its size and checksum (${major})`, async () => {
      await using directory = temporaryDirectory()
      await using pg = await startPostgres({
        major,
        settings: { summarize_wal: 'on', wal_keep_size: '1GB' },
      })
      await pg.query('create table t as select g as id from generate_series(1, 20000) g')
      const repository = join(directory.path, 'repository')
      await backUp(pg, repository)
      await pg.query('update t set id = -id where id % 100 = 0')
      const info = await backUp(pg, repository)
      assert.deepEqual([info.method, info.serverManifest], ['incremental', true])
      await verifyAll(repository)
      const target = join(directory.path, 'restored')
      await readRepository(repository, 'test', info.id, target)
      const content = readFileSync(join(target, 'backup_manifest'))
      const reader = new BackupManifestReader()
      const files: BackupManifestFile[] = [...reader.push(content)]
      const { systemIdentifier, version, walRanges } = reader.finish()
      assert.deepEqual([version, systemIdentifier], [2, info.postgres.systemIdentifier])
      const { startLsn, stopLsn: endLsn } = info
      assert.deepEqual(walRanges, [{ timeline: 1, startLsn, endLsn }])
      const said = new Map(files.map((file) => [file.path, file]))
      const there = readdirSync(target, { recursive: true, withFileTypes: true })
        .filter((item) => item.isFile())
        .map((item) => join(item.parentPath, item.name).slice(target.length + 1))
        .filter((path) => !IGNORED.test(path))
      for (const path of there) {
        const bytes = readFileSync(join(target, path))
        const file = said.get(path)
        assert.equal(file?.sizeBytes, bytes.length, path)
        const crc = bytes.length === 0 ? 0 : crc32c(bytes)
        assert.deepEqual(file.checksum, manifestCrc32c(crc), path)
        said.delete(path)
      }
      assert.deepEqual(
        [...said.keys()].filter((path) => !IGNORED.test(path)),
        [],
      )
      // A server reads it, judges its checksum and identity, and takes it as the start of the next backup.
      await using connection = await ReplicationConnection.connect(pg.connection)
      await connection.uploadManifest(textOf(content), {})
    })
  }
})
