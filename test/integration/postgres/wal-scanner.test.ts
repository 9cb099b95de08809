/**
 * WAL as we walk it, against the servers that wrote it and against pg_waldump.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { CONTROL_FILE_PATH, parseControlFile } from '../../../src/postgres/control-file.ts'
import { addBytes, formatLsn, parseLsn } from '../../../src/postgres/lsn.ts'
import { formatSegmentName, segmentOf, segmentStart } from '../../../src/postgres/segment-name.ts'
import { walEventOf } from '../../../src/postgres/wal-event.ts'
import { inspectSegment } from '../../../src/postgres/wal-page.ts'
import { type WalRecord } from '../../../src/postgres/wal-record.ts'
import { WalScanner } from '../../../src/postgres/wal-scanner.ts'
import { findRecord, findWalEnd } from '../../../src/postgres/wal-search.ts'
import {
  availableMajors,
  debianBinaries,
  startPostgres,
  type TestServer,
} from '../../harness/postgres.ts'

const RMGR_NAMES = (
  'XLOG Transaction Storage CLOG Database Tablespace MultiXact RelMap Standby Heap2 Heap Btree Hash Gin Gist ' +
  'Sequence SPGist BRIN CommitTs ReplicationOrigin Generic LogicalMessage'
).split(' ')

/** Work that fills several segments: full-page images, large and small records, switches, unfinished ends. */
async function makeWal(server: TestServer): Promise<void> {
  await server.query(
    "CREATE TABLE t AS SELECT n, repeat('x', 300) x FROM generate_series(1, 30000) n; CREATE INDEX ON t (n)",
  )
  await server.query("SELECT pg_switch_wal(); SELECT pg_create_restore_point('one')")
  await server.query('UPDATE t SET n = n + 1; SELECT pg_switch_wal()')
  await server.query("INSERT INTO t SELECT n, repeat('y', 7000) FROM generate_series(1, 3000) n")
  await server.query("SELECT pg_logical_emit_message(true, 'x', repeat('z', 20000000))")
}

interface Walked {
  readonly records: WalRecord[]
  readonly scanner: WalScanner
}

/** Walks all segments in pg_wal up to the end. */
function walk(server: TestServer): Walked {
  const control = parseControlFile(readFileSync(join(server.directory, CONTROL_FILE_PATH)))
  const { segmentBytes, systemIdentifier } = control
  const directory = join(server.directory, 'pg_wal')
  const names = readdirSync(directory).filter((name) => /^[0-9A-F]{24}$/.test(name))
  const records: WalRecord[] = []
  let scanner: WalScanner | undefined
  for (const name of names.sort()) {
    const content = readFileSync(join(directory, name))
    const expected = { name, fileBytes: content.length, systemIdentifier, segmentBytes }
    const { identity } = inspectSegment(content, expected)
    if (identity === undefined || scanner?.stop !== undefined) break
    assert.equal(identity.major, server.major)
    scanner ??= new WalScanner({ startLsn: identity.startLsn, segmentBytes })
    records.push(...scanner.push(content))
  }
  return { records, scanner: scanner ?? assert.fail('no WAL') }
}

const settings = (major: number): Record<string, string> => ({
  autovacuum: 'off',
  wal_level: 'logical',
  checkpoint_timeout: '1d',
  max_wal_size: '1GB',
  ...(major < 13 ? { wal_keep_segments: '32' } : { wal_keep_size: '512MB' }),
})

for (const major of availableMajors()) {
  suite(`WAL of PostgreSQL ${major}`, () => {
    test('is valid from its first record to the position the server has flushed', async () => {
      await using server = await startPostgres({ major, settings: settings(major) })
      await makeWal(server)
      const [row] = await server.query('SELECT pg_current_wal_flush_lsn()::text AS lsn')
      const { records, scanner } = walk(server)
      assert.equal(formatLsn(scanner.endLsn), row?.['lsn'])
      assert.equal(scanner.stop?.kind, 'zeros')
      assert.ok(records.length > 30_000)
      const events = records.flatMap((record) => walEventOf(record, major)?.kind ?? [])
      assert.equal(events.filter((kind) => kind === 'switch').length, 2)
      assert.equal(events.filter((kind) => kind === 'restore-point').length, 1)
    })

    test('ends after a clean stop with the checkpoint that pg_control names', async () => {
      await using server = await startPostgres({ major })
      await server.query('CREATE TABLE t AS SELECT 1')
      await server.stop()
      const control = parseControlFile(readFileSync(join(server.directory, CONTROL_FILE_PATH)))
      const { segmentBytes, checkpoint } = control
      const segment = segmentOf(checkpoint.lsn, { timeline: checkpoint.timeline, segmentBytes })
      const name = formatSegmentName(segment, segmentBytes)
      const content = readFileSync(join(server.directory, 'pg_wal', name))
      const place = { startLsn: segmentStart(segment, segmentBytes), segmentBytes }
      const record =
        findRecord(content, { ...place, recordLsn: checkpoint.lsn }) ?? assert.fail('no record')
      assert.equal(walEventOf(record, major)?.kind, 'shutdown-checkpoint')
      assert.equal(findWalEnd(content, place).endLsn, record.endLsn)
      assert.ok(record.endLsn > addBytes(checkpoint.lsn, 24))
      await server.start()
      const [row] = await server.query('SELECT pg_current_wal_lsn()::text AS lsn')
      assert.ok((parseLsn(String(row?.['lsn'])) ?? assert.fail()) >= record.endLsn)
    })
  })
}

const tools = debianBinaries()
const skip = tools === undefined && 'Debian’s PostgreSQL 15 is not installed'

test('pg_waldump finds the same records', { skip }, async () => {
  const major = 15
  await using server = await startPostgres({
    major,
    binaries: tools ?? '',
    settings: settings(major),
  })
  await makeWal(server)
  await server.stop()
  const { records, scanner } = walk(server)
  const [first] = records
  const output = execFileSync(
    join(tools ?? '', 'pg_waldump'),
    [
      '-p',
      join(server.directory, 'pg_wal'),
      '-s',
      formatLsn(first?.lsn ?? assert.fail()),
      '-e',
      formatLsn(scanner.endLsn),
    ],
    { encoding: 'utf8', maxBuffer: 1024 ** 3, env: { LC_ALL: 'C' } },
  )
  const dumped = [
    ...output.matchAll(
      /^rmgr: (\S+) +len \(rec\/tot\): +\d+\/ *(\d+), tx: +(\d+), lsn: (\S+), prev (\S+),/gm,
    ),
  ].map(([, ...fields]) => fields.join(' '))
  const hex8 = (lsn: string): string => lsn.replace(/[^/]+$/, (low) => low.padStart(8, '0'))
  const ours = records.map((record) =>
    [
      RMGR_NAMES[record.resourceManager],
      record.totalBytes,
      record.xid,
      hex8(formatLsn(record.lsn)),
      hex8(formatLsn(record.previousLsn)),
    ].join(' '),
  )
  assert.deepEqual(ours, dumped)
})
