import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseIncrementalPath, parseRelationPath } from '../../../src/backup/relation-path.ts'

describe('relation paths', () => {
  it('tells relations from everything else', () => {
    assert.deepEqual(parseRelationPath('base/5/16384'), { fork: 'main', firstBlock: 0 })
    assert.deepEqual(parseRelationPath('base/5/16384.3'), { fork: 'main', firstBlock: 393_216 })
    assert.deepEqual(parseRelationPath('global/1262_fsm'), { fork: 'fsm', firstBlock: 0 })
    assert.deepEqual(parseRelationPath('base/5/16384_vm.1'), { fork: 'vm', firstBlock: 131_072 })
    assert.deepEqual(parseRelationPath('pg_tblspc/16400/PG_18_202506291/5/16401_init'), {
      fork: 'init',
      firstBlock: 0,
    })
    for (const path of [
      'global/pg_control',
      'base/5/PG_VERSION',
      'base/5/pg_filenode.map',
      'PG_VERSION',
      'base/5/t3_16384',
      'pg_xact/0000',
      'base/5/16384.bak',
      'x/base/5/16384',
    ]) {
      assert.equal(parseRelationPath(path), undefined, path)
    }
  })

  it('finds the file an incremental file stands for', () => {
    assert.equal(parseIncrementalPath('base/5/INCREMENTAL.16384.1'), 'base/5/16384.1')
    assert.equal(parseIncrementalPath('global/INCREMENTAL.1262_vm'), 'global/1262_vm')
    assert.equal(parseIncrementalPath('base/5/16384'), undefined)
    assert.equal(parseIncrementalPath('INCREMENTAL.x'), undefined)
  })
})
