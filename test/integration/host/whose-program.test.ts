/**
 * Root runs a program only when nobody else could have put it there.
 */
import assert from 'node:assert/strict'
import { chmod, chown, lchown, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { LocalHost } from '../../../src/host/local-host.ts'
import { whyNotRun } from '../../../src/host/whose-program.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

const host = new LocalHost('here')
const { uid, gid, name } = unprivilegedUser

test('whoever owns or may write a directory on the way, a link or the program itself is named', async (t) => {
  if (!isRoot) return t.skip('only root has other users')
  await using base = temporaryDirectory()
  const folder = join(base.path, 'backstay')
  const version = join(folder, '0.1.0 odd')
  const program = join(version, 'node')
  await mkdir(version, { recursive: true })
  await writeFile(program, '#!/bin/sh\n', { mode: 0o755 })
  await symlink('0.1.0 odd', join(folder, 'current'))
  const ways = [program, join(folder, 'current/node'), join(folder, 'current/missing/too')]
  for (const way of ways) assert.equal(await whyNotRun(host, [way]), undefined, way)
  for (const place of [folder, version, program]) {
    await chown(place, uid, gid)
    assert.equal(await whyNotRun(host, ways), `"${place}" belongs to "${name}"`)
    await chown(place, 0, 0)
    await chmod(place, 0o777)
    assert.equal(await whyNotRun(host, ways), `"${place}" may be written by everybody`)
    await chmod(place, 0o775)
    assert.equal(await whyNotRun(host, ways), undefined)
    await chown(place, 0, gid)
    assert.match((await whyNotRun(host, ways)) ?? '', /may be written by group "/)
    await chmod(place, 0o755)
    assert.equal(await whyNotRun(host, ways), undefined)
  }
  await lchown(join(folder, 'current'), uid, gid)
  assert.equal(await whyNotRun(host, [program]), undefined)
  assert.match((await whyNotRun(host, ways)) ?? '', /current" belongs to "/)
})

test('a link leads the look on, through the directories of whoever has it there', async (t) => {
  if (!isRoot) return t.skip('only root has other users')
  await using base = temporaryDirectory()
  const his = join(base.path, 'his')
  await mkdir(join(his, 'of-root'), { recursive: true })
  await chown(his, uid, gid)
  await symlink(join(his, 'of-root'), join(base.path, 'absolute'))
  await mkdir(join(base.path, 'deep'))
  await symlink('../his/of-root', join(base.path, 'deep/relative'))
  for (const way of ['absolute/node', 'deep/relative/node']) {
    const why = await whyNotRun(host, [join(base.path, way)])
    assert.equal(why, `"${his}" belongs to "${name}"`)
  }
})
