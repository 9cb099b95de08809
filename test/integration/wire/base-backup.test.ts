import assert from 'node:assert/strict'
import {
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import {
  matrixMajors,
  openPostgres,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { DirectorySink, droppingSink } from './directory-sink.ts'

const BIG_TABLE = `
  CREATE TABLE big AS SELECT n, repeat(md5(n::text), 20) AS text FROM generate_series(1, 60000) n`

for (const major of matrixMajors()) {
  describe(`base backup from PostgreSQL ${major}`, { concurrency: false }, async () => {
    const server = await startPostgres({ major })
    const files = temporaryDirectory()
    after(async () => {
      await server[Symbol.asyncDispose]()
      await files[Symbol.asyncDispose]()
    })
    await server.query(BIG_TABLE)
    const oid = await addTablespace(server, join(files.path, 'space'))

    it('a received copy with a tablespace starts and holds the rows', async () => {
      const copy = join(files.path, 'copy')
      const spaceCopy = join(files.path, 'space-copy')
      const sink = new DirectorySink((tablespace) => (tablespace === undefined ? copy : spaceCopy))
      await using connection = await ReplicationConnection.connect(server.connection)
      const result = await connection.baseBackup({ includeWal: true, label: "it's a test" }, sink)
      assert.deepEqual(result.start, sink.start)
      assert.deepEqual(result.end, sink.finish)
      assert.ok(result.end.endLsn > result.start.startLsn)
      assert.deepEqual(
        result.start.tablespaces.map((tablespace) => [tablespace.oid, tablespace.location]),
        [
          [oid, join(files.path, 'space')],
          [undefined, undefined],
        ],
      )
      assert.ok(result.start.tablespaces.every(({ sizeBytes = 0 }) => sizeBytes > 1_000_000))
      assert.match(readFileSync(join(copy, 'backup_label'), 'utf8'), /^LABEL: it's a test$/m)
      const paths = sink.entries.map((entry) => entry.path)
      const lastOfData = paths.findLastIndex((path) => path.startsWith('base/'))
      assert.ok(paths.indexOf('global/pg_control') > lastOfData, 'pg_control comes after the data')
      const hasManifest = major >= 13
      assert.deepEqual(
        sink.calls,
        hasManifest ? ['begin', 'entry', 'manifest', 'end'] : ['begin', 'entry', 'end'],
      )
      if (hasManifest) assertManifestListsFiles(sink)
      // The map names the tablespace's directory on the server: lead it to the copy instead.
      assert.match(readFileSync(join(copy, 'tablespace_map'), 'utf8'), new RegExp(`^${oid} `))
      rmSync(join(copy, 'tablespace_map'))
      symlinkSync(spaceCopy, join(copy, 'pg_tblspc', String(oid)))
      await using restored = await openPostgres({ major, directory: copy })
      const rows = await restored.query(
        'SELECT (SELECT count(*) FROM big) AS big, (SELECT count(*) FROM spaced) AS spaced',
      )
      assert.deepEqual(rows, [{ big: '60000', spaced: '20000' }])
    })

    it('without the map the tablespace comes as a link in the archive', async () => {
      const links: unknown[] = []
      await using connection = await ReplicationConnection.connect(server.connection)
      const options = { tablespaceMap: false, manifest: false, progress: false }
      const result = await connection.baseBackup(
        options,
        droppingSink({
          entry: ({ kind, path, target }) => void (kind === 'link' && links.push({ path, target })),
        }),
      )
      assert.deepEqual(links, [{ path: `pg_tblspc/${oid}`, target: join(files.path, 'space') }])
      assert.ok(result.start.tablespaces.every(({ sizeBytes }) => sizeBytes === undefined))
      assert.equal((await connection.identifySystem()).timeline, 1, 'the connection stays usable')
    })

    it('a sink that takes its time gets the same bytes in the same order', async () => {
      const deliver = async (isSlow: boolean): Promise<string[]> => {
        const seen: string[] = []
        let bytes = 0
        let isBusy = false
        const pause = (): Promise<void> | undefined => {
          assert.ok(!isBusy, 'one call at a time')
          if (!isSlow) return undefined
          isBusy = true
          return nextTurn().then(() => void (isBusy = false))
        }
        await using connection = await ReplicationConnection.connect(server.connection)
        await connection.baseBackup(
          { manifest: false },
          droppingSink({
            entry: (entry) => {
              bytes = 0
              seen.push(`${entry.kind} ${entry.path} ${entry.sizeBytes}`)
              return pause()
            },
            data: (chunk) => {
              bytes += chunk.length
              return pause()
            },
            endFile: () => {
              seen.push(`${bytes}`)
              return pause()
            },
          }),
        )
        return seen.filter(
          (line) => !/pg_control|backup_label|pg_internal|pgstat|pg_stat/.test(line),
        )
      }
      assert.deepEqual(await deliver(true), await deliver(false))
    })

    it('the rate limit is obeyed', async () => {
      await using connection = await ReplicationConnection.connect(server.connection)
      const started = performance.now()
      let bytes = 0
      const sink = droppingSink({ data: (chunk) => void (bytes += chunk.length) })
      await connection.baseBackup({ maxRateBytes: 64 * 1024 * 1024 }, sink)
      const rate = bytes / ((performance.now() - started) / 1000)
      assert.ok(rate < 80 * 1024 * 1024, `${Math.round(rate / 1e6)} MB/s`)
    })

    it('an abort in the middle leaves no WAL sender', async () => {
      const abort = new AbortController()
      await using connection = await ReplicationConnection.connect(named(server, 'aborted'))
      let bytes = 0
      const sink = droppingSink({
        data: (chunk) => {
          bytes += chunk.length
          if (bytes > 1_000_000) abort.abort(new Error('enough'))
        },
      })
      const backup = connection.baseBackup(
        { maxRateBytes: 1024 * 1024, signal: abort.signal },
        sink,
      )
      await assert.rejects(backup, /enough/)
      await noSender(server, 'aborted')
      await assert.rejects(connection.identifySystem(), /enough/)
    })

    it('an abort while the server checkpoints leaves no WAL sender', async () => {
      await server.query('CREATE TABLE dirt AS SELECT n FROM generate_series(1, 200000) n')
      await using connection = await ReplicationConnection.connect(named(server, 'waiting'))
      const signal = AbortSignal.timeout(300)
      const sink = droppingSink({ begin: () => assert.fail('the checkpoint was too fast') })
      await assert.rejects(connection.baseBackup({ checkpoint: 'spread', signal }, sink))
      await noSender(server, 'waiting')
      await server.query('DROP TABLE dirt')
    })

    it("the sink's error ends the backup and is what is thrown", async () => {
      const failure = new Error('the disk is full')
      let entries = 0
      const sink = droppingSink({
        entry: async () => {
          entries += 1
          await delay(1)
          if (entries === 5) throw failure
        },
      })
      await using connection = await ReplicationConnection.connect(named(server, 'failed'))
      await assert.rejects(connection.baseBackup({}, sink), (error) => error === failure)
      assert.equal(entries, 5, 'no call after the failure')
      await noSender(server, 'failed')
    })

    it('a server that ends the connection in the middle says why', async () => {
      await using connection = await ReplicationConnection.connect(named(server, 'ended'))
      let isTold = false
      const sink = droppingSink({
        data: async () => {
          if (isTold) return
          isTold = true
          await terminate(server, 'ended')
        },
      })
      const backup = connection.baseBackup({ maxRateBytes: 1024 * 1024 }, sink)
      await assert.rejects(backup, (error) => {
        assert.ok(isBackstayError(error, 'POSTGRES_CONNECTION_LOST'), String(error))
        assert.match(error.message, /base backup.*administrator command.*57P01/)
        return true
      })
    })

    it('a page the server finds broken is a failure with its notice', async () => {
      const [row] = await server.query("SELECT pg_relation_filepath('spaced') AS path")
      assert.ok(row !== undefined)
      await using connection = await ReplicationConnection.connect(server.connection)
      await server.query('CHECKPOINT')
      const broken = breakPage(join(server.directory, String(row['path'])))
      try {
        const backup = connection.baseBackup({ verifyChecksums: true }, droppingSink())
        await assert.rejects(backup, /checksum verification failure/)
        assert.equal((await connection.identifySystem()).timeline, 1)
        await connection.baseBackup({ verifyChecksums: false }, droppingSink())
      } finally {
        broken.mend()
      }
    })

    if (major >= 17) {
      it('an incremental backup refers to the uploaded manifest', async () => {
        await server.query("ALTER SYSTEM SET summarize_wal = 'on'")
        await server.query('SELECT pg_reload_conf()')
        // Hint bits set by the first reader would change every page of the table.
        await server.query('VACUUM (FREEZE) big')
        const first = new DirectorySink((tablespace) => join(files.path, `full-${tablespace}`))
        await using connection = await ReplicationConnection.connect(server.connection)
        await connection.baseBackup({}, first)
        await server.query('UPDATE big SET n = n WHERE n = 1')
        const manifest = Buffer.from(first.manifestText)
        await connection.uploadManifest([manifest.subarray(0, 100), manifest.subarray(100)])
        let full = 0
        const incremental: string[] = []
        const sink = droppingSink({
          entry: ({ path, sizeBytes }) => {
            full += sizeBytes
            if (path.includes('INCREMENTAL.')) incremental.push(path)
          },
        })
        await connection.baseBackup({ incremental: true }, sink)
        assert.ok(incremental.length > 100)
        assert.ok(full < 15_000_000, `${full} bytes`)
      })

      it('a manifest that cannot be read fails with the reason of its source', async () => {
        await using connection = await ReplicationConnection.connect(server.connection)
        const broken = async function* (): AsyncGenerator<Uint8Array> {
          yield Buffer.from('{ "PostgreSQL-Backup-')
          throw new Error('the store is gone')
        }
        await assert.rejects(connection.uploadManifest(broken()), /the store is gone/)
        assert.equal((await connection.identifySystem()).timeline, 1)
      })

      it('an upload ends when the server does, whatever the source still has', async () => {
        await using connection = await ReplicationConnection.connect(named(server, 'uploading'))
        const endless = async function* (): AsyncGenerator<Uint8Array> {
          const piece = Buffer.alloc(65_536, ' ')
          for (let count = 0; ; count += 1) {
            if (count === 3) await terminate(server, 'uploading')
            yield piece
          }
        }
        await assert.rejects(connection.uploadManifest(endless()), {
          code: 'POSTGRES_CONNECTION_LOST',
        })
      })
    } else {
      it('an incremental backup is refused before anything is sent', async () => {
        await using connection = await ReplicationConnection.connect(server.connection)
        await assert.rejects(connection.uploadManifest([]), /it needs 17/)
        const backup = connection.baseBackup({ incremental: true }, droppingSink())
        await assert.rejects(backup, (error) => isBackstayError(error, 'POSTGRES_VERSION'))
        assert.equal((await connection.identifySystem()).timeline, 1)
      })
    }
  })
}

function named(server: TestServer, applicationName: string): TestServer['connection'] {
  return { ...server.connection, applicationName }
}

async function terminate(server: TestServer, name: string): Promise<void> {
  await server.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${name}'`,
  )
}

async function noSender(server: TestServer, name: string): Promise<void> {
  const query = `SELECT 1 FROM pg_stat_activity WHERE application_name = '${name}'`
  const isGone = async (): Promise<boolean> => (await server.query(query)).length === 0
  await until(`the WAL sender of "${name}" to be gone`, isGone, 5000)
}

async function addTablespace(server: TestServer, location: string): Promise<number> {
  mkdirSync(location)
  if (isRoot) chownSync(location, unprivilegedUser.uid, unprivilegedUser.gid)
  await server.query(`CREATE TABLESPACE space LOCATION '${location}'`)
  await server.query(
    `CREATE TABLE spaced TABLESPACE space AS
       SELECT n, repeat(md5(n::text), 10) AS text FROM generate_series(1, 20000) n`,
  )
  const [row] = await server.query("SELECT oid FROM pg_tablespace WHERE spcname = 'space'")
  return Number(row?.['oid'])
}

/** The manifest is whole, and lists the files that came. */
function assertManifestListsFiles(sink: DirectorySink): void {
  const manifest = JSON.parse(sink.manifestText) as { Files: { Path?: string; Size: number }[] }
  const listed = new Map(manifest.Files.map((file) => [file.Path, file.Size]))
  const relations = sink.entries.filter(
    ({ kind, path }) => kind === 'file' && path.startsWith('base/'),
  )
  assert.ok(relations.length > 100)
  for (const { path, sizeBytes } of relations) assert.equal(listed.get(path), sizeBytes, path)
}

/** Spoils one byte of a relation's second page, behind the server's back. */
function breakPage(path: string): { mend(): void } {
  const flip = (): void => {
    const file = openSync(path, 'r+')
    const byte = Buffer.alloc(1)
    readSync(file, byte, 0, 1, 8192 + 4000)
    writeSync(file, Buffer.of((byte[0] ?? 0) ^ 0xff), 0, 1, 8192 + 4000)
    closeSync(file)
  }
  flip()
  return { mend: flip }
}
