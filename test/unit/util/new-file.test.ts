/**
 * A new file is there whole or not at all, and never replaces another.
 */
import assert from 'node:assert/strict'
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises'
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

test('a link that waits at the name a process would have chosen is not followed', async () => {
  await using directory = temporaryDirectory()
  const victim = join(directory.path, 'victim')
  await writeFile(victim, 'untouched')
  await symlink(victim, join(directory.path, `.a.${process.pid}.tmp`))
  await writeNewFile(join(directory.path, 'a'), 'text')
  assert.equal(await readFile(victim, 'utf8'), 'untouched')
})
