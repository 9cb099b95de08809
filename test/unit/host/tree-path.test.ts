/**
 * Paths inside a tree.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { treePathParts } from '../../../src/host/tree-path.ts'

test('relative paths are split, dots and doubled slashes dropped', () => {
  assert.deepEqual(treePathParts('base/1/1259'), ['base', '1', '1259'])
  assert.deepEqual(treePathParts('./base//1/'), ['base', '1'])
  assert.deepEqual(treePathParts('.'), [])
  assert.deepEqual(treePathParts('..data/...'), ['..data', '...'])
})

test('every way out is refused', () => {
  for (const path of ['', '/', '/etc/passwd', '..', '../x', 'a/..', 'a/../../b', 'a\0b']) {
    assert.throws(() => treePathParts(path), { code: 'FAILED' }, JSON.stringify(path))
  }
})
