/**
 * The files of a base backup as we read and write them, and the files we would take ourselves, against what servers send.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { Client } from 'pg'
import { formatBackupLabel, parseBackupLabel } from '../../../src/postgres/backup-label.ts'
import { BackupManifestReader } from '../../harness/backup-manifest-reader.ts'
import {
  BackupManifestWriter,
  manifestCrc32c,
  type BackupManifestFile,
} from '../../../src/postgres/backup-manifest.ts'
import { crc32c } from '@node-rs/crc32'
import {
  isExcludedFromBackup,
  isUnloggedContent,
  parseRelationPath,
} from '../../../src/postgres/relation-path.ts'
import { formatTablespaceMap, parseTablespaceMap } from '../../../src/postgres/tablespace-map.ts'
import type { BaseBackupEntry, BaseBackupSink } from '../../../src/wire/base-backup-sink.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import {
  availableMajors,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

/** Keeps everything in memory. */
class MemorySink implements BaseBackupSink {
  readonly files = new Map<string, Buffer>()
  readonly manifestPieces: Buffer[] = []
  #path: string | undefined
  #pieces: Buffer[] = []

  begin(): void {}
  end(): void {}

  entry(entry: BaseBackupEntry): void {
    const prefix = entry.tablespaceOid === undefined ? '' : `pg_tblspc/${entry.tablespaceOid}/`
    this.#path = entry.kind === 'file' ? prefix + entry.path : undefined
    this.#pieces = []
  }

  data(chunk: Uint8Array): void {
    this.#pieces.push(Buffer.from(chunk))
  }

  endFile(): void {
    this.files.set(this.#path ?? assert.fail(), Buffer.concat(this.#pieces))
  }

  manifest(chunk: Uint8Array): void {
    this.manifestPieces.push(Buffer.from(chunk))
  }
}

async function addContent(server: TestServer, location: string): Promise<void> {
  mkdirSync(location)
  if (isRoot) execFileSync('chown', [unprivilegedUser.name, location])
  await server.query(`CREATE TABLESPACE space LOCATION '${location}'`)
  await server.query('CREATE DATABASE other')
  await server.query(`
    CREATE TABLE rows TABLESPACE space AS SELECT n FROM generate_series(1, 1000) n;
    CREATE UNLOGGED TABLE fleeting AS SELECT n FROM generate_series(1, 1000) n;
    CREATE INDEX ON fleeting (n)`)
  await server.query('VACUUM')
  await server.query('CHECKPOINT')
}

/** Files of a data directory that we would take, links to tablespaces followed. */
function filesToTake(directory: string): string[] {
  const paths = walk(directory, '')
  const inits = paths.flatMap((path) => {
    const file = parseRelationPath(path)
    return file?.fork === 'init' ? [file.relation] : []
  })
  const unlogged = new Set(inits)
  return paths.filter((path) => {
    const file = parseRelationPath(path)
    return !isExcludedFromBackup(path) && !(file !== undefined && isUnloggedContent(file, unlogged))
  })
}

function walk(directory: string, prefix: string): string[] {
  return readdirSync(join(directory, prefix)).flatMap((name) => {
    const path = prefix === '' ? name : `${prefix}/${name}`
    return statSync(join(directory, path)).isDirectory() ? walk(directory, path) : [path]
  })
}

for (const major of availableMajors()) {
  suite(`base backup of PostgreSQL ${major}`, async () => {
    await using place = temporaryDirectory()
    await using server = await startPostgres({ major, settings: { autovacuum: 'off' } })
    const location = join(place.path, String.raw`a \ space`)
    await addContent(server, location)
    const session = new Client({ ...server.connection, database: 'postgres' })
    await session.connect()
    await session.query('CREATE TEMPORARY TABLE passing AS SELECT 1; CHECKPOINT')
    const sink = new MemorySink()
    await using connection = await ReplicationConnection.connect(server.connection)
    const { start } = await connection.baseBackup({ label: 'a: b' }, sink)
    const ours = filesToTake(server.directory)
    const hasTemporary = walk(server.directory, 'base').some((path) => /\/t\d+_\d+$/.test(path))
    await session.end()
    const text = (path: string): string => sink.files.get(path)?.toString() ?? assert.fail(path)

    test('has the files that we would take, and no other', () => {
      const made = ['backup_label', 'tablespace_map']
      const sent = [...sink.files.keys()].filter((path) => !made.includes(path))
      assert.deepEqual(new Set(ours), new Set(sent))
      assert.ok(hasTemporary && ours.some((path) => path.includes('pg_tblspc')))
    })

    test('has a label that is read, and written the same', () => {
      const label = parseBackupLabel(text('backup_label'))
      assert.equal(label.startLsn, start.startLsn)
      assert.equal(label.startTimeline, start.timeline)
      assert.deepEqual([label.method, label.from, label.label], ['streamed', 'primary', 'a: b'])
      // Before 14 a primary is called by another word; servers only look for "standby".
      const expected = text('backup_label').replace(/^BACKUP FROM: .*$/m, 'BACKUP FROM: primary')
      assert.equal(formatBackupLabel(label), expected)
    })

    test('has a map of tablespaces that is read, and written the same', () => {
      const links = parseTablespaceMap(text('tablespace_map'), major)
      assert.deepEqual(
        links.map((link) => link.location),
        [location],
      )
      assert.equal(formatTablespaceMap(links, major), text('tablespace_map'))
    })

    const skip = major < 13 && 'PostgreSQL makes manifests from 13 on'

    test('has a manifest that is read, true, and written the same', { skip }, () => {
      const reader = new BackupManifestReader()
      const files: BackupManifestFile[] = []
      for (const piece of sink.manifestPieces) files.push(...reader.push(piece))
      const summary = reader.finish()
      assert.equal(summary.version, major >= 17 ? 2 : 1)
      assert.equal(summary.walRanges[0]?.startLsn, start.startLsn)
      for (const { path, sizeBytes, checksum } of files) {
        const content = sink.files.get(path) ?? assert.fail(path)
        assert.equal(sizeBytes, content.length)
        assert.deepEqual(checksum, manifestCrc32c(crc32c(content)))
      }
      assert.equal(files.length, sink.files.size)
      const writer = new BackupManifestWriter()
      const written = [
        writer.begin(summary.systemIdentifier),
        ...files.map((file) => writer.file(file)),
        writer.end(summary.walRanges),
      ]
      assert.equal(written.join(''), Buffer.concat(sink.manifestPieces).toString())
    })
  })
}
