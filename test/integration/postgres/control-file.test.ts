/**
 * pg_control as we read it, against what the server that wrote it says, in every state a test can bring it into.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import {
  CONTROL_FILE_PATH,
  type ControlFile,
  parseControlFile,
} from '../../../src/postgres/control-file.ts'
import { formatLsn } from '../../../src/postgres/lsn.ts'
import {
  availableMajors,
  debianBinaries,
  startPostgres,
  type TestServer,
} from '../../harness/postgres.ts'

const readControl = (directory: string): ControlFile =>
  parseControlFile(readFileSync(join(directory, CONTROL_FILE_PATH)))

const FUNCTIONS = ['system', 'checkpoint', 'init', 'recovery']
const SHARED_SETTINGS = `SELECT name, setting FROM pg_settings WHERE name IN ('wal_level', 'wal_log_hints',
  'max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions',
  'max_locks_per_transaction', 'track_commit_timestamp')`

for (const major of availableMajors()) {
  suite(`pg_control of PostgreSQL ${major}`, () => {
    test('says what the SQL functions say', async () => {
      await using server = await startPostgres({
        major,
        settings: { wal_log_hints: 'on', max_connections: 33, max_prepared_transactions: 4 },
      })
      await server.query('CREATE TABLE t AS SELECT 1; CHECKPOINT')
      const calls = FUNCTIONS.map((name) => `pg_control_${name}() AS ${name}`).join(', ')
      const [row] = await server.query(
        `SELECT ${FUNCTIONS.map((name) => `to_json(${name}) AS ${name}_json`).join(', ')} FROM ${calls}`,
      )
      const control = readControl(server.directory)
      const said = Object.assign({}, ...Object.values(row ?? {})) as Record<string, unknown>
      const seconds = (text: unknown): number => Date.parse(String(text))
      const read = {
        pg_control_version: control.controlVersion,
        catalog_version_no: control.catalogVersion,
        checkpoint_lsn: formatLsn(control.checkpoint.lsn),
        redo_lsn: formatLsn(control.checkpoint.redoLsn),
        timeline_id: control.checkpoint.timeline,
        prev_timeline_id: control.checkpoint.previousTimeline,
        full_page_writes: control.checkpoint.fullPageWrites,
        next_xid: `${control.checkpoint.nextXid.epoch}:${control.checkpoint.nextXid.xid}`,
        next_oid: String(control.checkpoint.nextOid),
        oldest_xid: String(control.checkpoint.oldestXid),
        min_recovery_end_lsn: formatLsn(control.minRecoveryLsn),
        min_recovery_end_timeline: control.minRecoveryTimeline,
        backup_start_lsn: formatLsn(control.backupStartLsn),
        backup_end_lsn: formatLsn(control.backupEndLsn),
        end_of_backup_record_required: control.backupEndRequired,
        database_block_size: control.blockBytes,
        blocks_per_segment: control.relationSegmentBlocks,
        wal_block_size: control.walBlockBytes,
        bytes_per_wal_segment: control.segmentBytes,
        data_page_checksum_version: control.dataChecksumVersion,
      }
      assert.deepEqual(read, pick(said, Object.keys(read)))
      assert.equal(control.checkpoint.timeMs, seconds(said['checkpoint_time']))
      assert.equal(control.modifiedAtMs, seconds(said['pg_control_last_modified']))
      const [identity] = await server.query(
        'SELECT system_identifier::text FROM pg_control_system()',
      )
      assert.equal(control.systemIdentifier, identity?.['system_identifier'])
      assert.equal(control.major, major)
      const settings = (await server.query(SHARED_SETTINGS)).map((setting) => [
        setting['name'],
        setting['setting'],
      ])
      const { parameters } = control
      const onOff = (value: boolean): string => (value ? 'on' : 'off')
      assert.deepEqual(Object.fromEntries(settings), {
        wal_level: parameters.walLevel,
        wal_log_hints: onOff(parameters.walLogHints),
        max_connections: String(parameters.maxConnections),
        max_worker_processes: String(parameters.maxWorkerProcesses),
        max_wal_senders: String(parameters.maxWalSenders ?? 10),
        max_prepared_transactions: String(parameters.maxPreparedTransactions),
        max_locks_per_transaction: String(parameters.maxLocksPerTransaction),
        track_commit_timestamp: onOff(parameters.trackCommitTimestamp),
      })
    })

    test('follows the server through its states', async () => {
      await using server = await startPostgres({ major })
      const { directory } = server
      assert.equal(readControl(directory).state, 'in production')
      await server.stop()
      assert.equal(readControl(directory).state, 'shut down')
      await server.start()
      await server.kill()
      assert.equal(readControl(directory).state, 'in production')
    })

    test('of a standby says how far it must recover', async () => {
      await using server = await startPostgres({ major })
      const { directory } = server
      await server.stop()
      if (major < 12) writeFileSync(join(directory, 'recovery.conf'), "standby_mode = 'on'\n")
      else writeFileSync(join(directory, 'standby.signal'), '')
      await server.start()
      assert.equal(readControl(directory).state, 'in archive recovery')
      const [row] = await server.query(
        'SELECT min_recovery_end_lsn::text FROM pg_control_recovery()',
      )
      assert.equal(formatLsn(readControl(directory).minRecoveryLsn), row?.['min_recovery_end_lsn'])
      assert.equal(readControl(directory).minRecoveryTimeline, 1)
      await server.stop()
      assert.equal(readControl(directory).state, 'shut down in recovery')
    })
  })
}

function pick(row: Readonly<Record<string, unknown>>, keys: readonly string[]): object {
  return Object.fromEntries(keys.map((key) => [key, row[key]]))
}

const tools = debianBinaries()
const skip = tools === undefined && 'Debian’s PostgreSQL 15 is not installed'

test('pg_control says what pg_controldata prints', { skip }, async () => {
  await using server = await startPostgres({ major: 15, binaries: tools ?? '' })
  await server.stop()
  const control = readControl(server.directory)
  const printed = printControlData(server, tools ?? '')
  const read = {
    'Database system identifier': control.systemIdentifier,
    'Database cluster state': control.state,
    'Latest checkpoint location': formatLsn(control.checkpoint.lsn),
    "Latest checkpoint's REDO location": formatLsn(control.checkpoint.redoLsn),
    "Latest checkpoint's TimeLineID": String(control.checkpoint.timeline),
    "Latest checkpoint's NextXID": `${control.checkpoint.nextXid.epoch}:${control.checkpoint.nextXid.xid}`,
    'Minimum recovery ending location': formatLsn(control.minRecoveryLsn),
    'Backup start location': formatLsn(control.backupStartLsn),
    'wal_level setting': control.parameters.walLevel,
    'max_connections setting': String(control.parameters.maxConnections),
    'max_wal_senders setting': String(control.parameters.maxWalSenders),
    'Bytes per WAL segment': String(control.segmentBytes),
    'Data page checksum version': String(control.dataChecksumVersion),
  }
  assert.deepEqual(read, pick(Object.fromEntries(printed), Object.keys(read)))
})

function printControlData(server: TestServer, binaries: string): [string, string][] {
  const output = execFileSync(join(binaries, 'pg_controldata'), ['-D', server.directory], {
    encoding: 'utf8',
    env: { LC_ALL: 'C' },
  })
  return output.split('\n').map((line) => {
    const [name = '', ...value] = line.split(':')
    return [name, value.join(':').trim()]
  })
}
