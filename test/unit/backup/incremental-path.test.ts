import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseIncrementalPath } from '../../../src/backup/incremental-path.ts'

test('an incremental file names the relation file it stands for; other paths name none', () => {
  assert.equal(parseIncrementalPath('base/5/INCREMENTAL.16384.1'), 'base/5/16384.1')
  assert.equal(parseIncrementalPath('global/INCREMENTAL.1262_vm'), 'global/1262_vm')
  assert.equal(parseIncrementalPath('base/5/16384'), undefined)
  assert.equal(parseIncrementalPath('INCREMENTAL.x'), undefined)
})
