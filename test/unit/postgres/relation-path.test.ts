import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  firstBlockOf,
  isExcludedFromBackup,
  isUnloggedContent,
  parseRelationPath,
  type RelationFile,
} from '../../../src/postgres/relation-path.ts'

const relation = (path: string): RelationFile => parseRelationPath(path) ?? assert.fail(path)

suite('relation path', () => {
  for (const [path, expected] of [
    ['global/1262', { relation: 'global/1262', fileNumber: 1262, fork: 'main', segment: 0 }],
    ['base/5/16384', { fileNumber: 16384, fork: 'main', segment: 0, databaseOid: 5 }],
    ['base/5/16384.12', { relation: 'base/5/16384', fork: 'main', segment: 12 }],
    ['base/5/16384_fsm', { relation: 'base/5/16384', fork: 'fsm', segment: 0 }],
    ['base/5/16384_vm.1', { fork: 'vm', segment: 1 }],
    ['base/5/16384_init', { fork: 'init' }],
    [
      'pg_tblspc/16400/PG_15_202209061/5/16384.1',
      {
        relation: 'pg_tblspc/16400/PG_15_202209061/5/16384',
        tablespaceOid: 16400,
        databaseOid: 5,
        segment: 1,
      },
    ],
    [
      'PG_15_202209061/5/16384',
      { relation: 'PG_15_202209061/5/16384', databaseOid: 5, tablespaceOid: undefined },
    ],
  ] as const) {
    test(`"${path}" is read`, () => {
      assert.deepEqual({ ...relation(path), ...expected }, relation(path))
    })
  }

  for (const path of [
    'base/5/t3_16384',
    'base/5/PG_VERSION',
    'base/5/pg_filenode.map',
    'global/pg_control',
    'base/16384',
    'base/5/16384_tmp',
    'base/5/16384.',
    'base/5/16384_fsm_init',
    'pg_xact/0000',
    'x/base/5/16384',
  ]) {
    test(`"${path}" is no relation`, () => assert.equal(parseRelationPath(path), undefined))
  }

  test('blocks are counted through the files of a fork', () => {
    assert.equal(firstBlockOf(relation('base/5/1')), 0)
    assert.equal(firstBlockOf(relation('base/5/1.3')), 393_216)
    assert.equal(firstBlockOf(relation('base/5/1_fsm.2'), 10), 20)
  })

  test('everything of an unlogged relation but its init fork is thrown away by recovery', () => {
    const unlogged = new Set([relation('base/5/7_init').relation])
    const thrown = [
      'base/5/7',
      'base/5/7.1',
      'base/5/7_fsm',
      'base/5/7_init',
      'base/6/7',
      'base/5/77',
    ]
    assert.deepEqual(
      thrown.filter((path) => isUnloggedContent(relation(path), unlogged)),
      ['base/5/7', 'base/5/7.1', 'base/5/7_fsm'],
    )
  })
})

suite('backup exclusions', () => {
  for (const path of [
    'postmaster.pid',
    'postmaster.opts',
    'backup_label',
    'backup_label.old',
    'tablespace_map.old',
    'backup_manifest',
    'postgresql.auto.conf.tmp',
    'current_logfiles.tmp',
    'pg_wal/000000010000000000000001',
    'pg_wal/archive_status/000000010000000000000001.ready',
    'pg_wal/summaries/0000000100000000.summary',
    'pg_replslot/a',
    'pg_replslot/a/state',
    'pg_stat_tmp/global.stat',
    'pg_subtrans/0000',
    'base/pgsql_tmp/pgsql_tmp1.0',
    'base/5/pgsql_tmp',
    'pg_tblspc/16400/PG_15_202209061/pgsql_tmp/x',
    'global/pg_internal.init',
    'base/5/pg_internal.init.123',
    'base/5/t3_16384',
    'base/5/t3_16384_fsm',
    'pg_tblspc/16400/PG_15_202209061/5/t3_16384.1',
  ]) {
    test(`"${path}" is left out`, () => assert.equal(isExcludedFromBackup(path), true))
  }

  for (const path of [
    'PG_VERSION',
    'postgresql.conf',
    'postgresql.auto.conf',
    'backstay.conf',
    'current_logfiles',
    'global/pg_control',
    'global/1262',
    'base/5/16384',
    'base/5/16384_init',
    'pg_wal',
    'pg_wal/archive_status',
    'pg_wal/summaries',
    'pg_replslot',
    'pg_stat_tmp',
    'pg_xact/0000',
    'pg_tblspc/16400',
    'base/5/backup_label',
    'log/postmaster.pid',
  ]) {
    test(`"${path}" is taken`, () => assert.equal(isExcludedFromBackup(path), false))
  }
})
