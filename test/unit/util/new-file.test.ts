/**
 * A new file is there whole or not at all, and never replaces another.
 */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeNewFile } from '../../../src/util/new-file.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

test('a new file has its content and leaves nothing beside it', async () => {
  await using directory = temporaryDirectory()
  await writeNewFile(join(directory.path, 'a'), 'text')
  assert.deepEqual(await readdir(directory.path), ['a'])
  assert.equal(await readFile(join(directory.path, 'a'), 'utf8'), 'text')
})

test('a file that is there stays as it is', async () => {
  await using directory = temporaryDirectory()
  await writeFile(join(directory.path, 'a'), 'old')
  await assert.rejects(writeNewFile(join(directory.path, 'a'), 'new'), { code: 'EEXIST' })
  assert.equal(await readFile(join(directory.path, 'a'), 'utf8'), 'old')
  assert.deepEqual(await readdir(directory.path), ['a'])
})
