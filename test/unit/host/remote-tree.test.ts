/**
 * What is known of a remote tree, and what is refused.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RemoteTree } from '../../../src/host/remote-tree.ts'

const FOUND = 'dbase\0fbase/1\0ldata\0'

test('missing parents are made once, existing ones never', () => {
  const tree = new RemoteTree('/d', FOUND.split('\0'))
  assert.deepEqual(tree.placeFile('base/x/y/2').missingParents, ['base/x', 'base/x/y'])
  assert.deepEqual(tree.placeFile('base/x/y/3').missingParents, [])
  assert.equal(tree.placeDirectory('base').wasThere, true)
  assert.equal(tree.placeDirectory('base/x').wasThere, false)
  assert.equal(tree.placeDirectory('.').path, '.')
})

test('nothing goes over a file or through a link, found or made', () => {
  const tree = new RemoteTree('/d', FOUND.split('\0'))
  tree.addLink('made')
  for (const path of ['base/1', 'base', 'data/x', 'made/x', 'data', '.', '../x', '/x']) {
    assert.throws(() => tree.placeFile(path), { code: 'FAILED' }, path)
  }
  for (const path of ['base/1', 'data', 'data/x', 'made/x/y', '..']) {
    assert.throws(() => tree.placeDirectory(path), { code: 'FAILED' }, path)
  }
})
