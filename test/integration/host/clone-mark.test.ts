/**
 * What is removed for a clone that did not come to its end: its own, as its own user, and nothing that lies beside it.
 */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { clearUnfinishedClone, removeUnfinishedClone } from '../../../src/cluster/clone-mark.ts'
import { CLONE_MARK_NAME } from '../../../src/cluster/names.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

/** daemon, on every Debian and Red Hat system. */
const OTHER_UID = 1
const owner = unprivilegedUser.name

/** A directory of PostgreSQL's user with a mark that names a tablespace. */
function markedDirectory(base: string, tablespaces: unknown): string {
  const directory = join(base, 'data')
  mkdirSync(directory, { mode: 0o700 })
  const mark = { server: 'db2', source: 'db1', startedAt: '', major: 14, tablespaces }
  writeFileSync(join(directory, CLONE_MARK_NAME), JSON.stringify(mark))
  const { uid, gid } = unprivilegedUser
  if (isRoot)
    for (const path of [join(directory, CLONE_MARK_NAME), directory]) chownSync(path, uid, gid)
  return directory
}

function tablespace(base: string, uid: number): string {
  const path = join(base, 'space')
  for (const name of ['PG_14_202107181', 'PG_17_202406281']) {
    mkdirSync(join(path, name, '5'), { recursive: true })
    writeFileSync(join(path, name, '5', '1'), 'rows')
    if (!isRoot) continue
    for (const part of [`${name}/5/1`, `${name}/5`, name, '']) chownSync(join(path, part), uid, uid)
  }
  chmodSync(path, 0o700)
  return path
}

test('another major’s cluster in the same tablespace directory stays, as pg_upgrade leaves them side by side', async () => {
  await using base = temporaryDirectory()
  chmodSync(base.path, 0o755)
  const space = tablespace(base.path, unprivilegedUser.uid)
  const directory = markedDirectory(base.path, [space])
  await clearUnfinishedClone(new LocalHost('here'), { directory, owner })
  assert.ok(!existsSync(join(space, 'PG_14_202107181')))
  assert.ok(existsSync(join(space, 'PG_17_202406281/5/1')))
})

test(
  'a mark of PostgreSQL’s user that names another user’s directory removes nothing there',
  { skip: !isRoot && 'needs root' },
  async () => {
    await using base = temporaryDirectory()
    chmodSync(base.path, 0o755)
    const space = tablespace(base.path, OTHER_UID)
    const directory = markedDirectory(base.path, [space])
    const clearing = clearUnfinishedClone(new LocalHost('here'), { directory, owner })
    await assert.rejects(clearing, /Permission denied/)
    assert.ok(existsSync(join(space, 'PG_14_202107181/5/1')))
  },
)

test(
  'nor where the path of the data directory is a link that root made: it is not root’s mark therefore',
  { skip: !isRoot && 'needs root' },
  async () => {
    await using base = temporaryDirectory()
    chmodSync(base.path, 0o755)
    const space = tablespace(base.path, OTHER_UID)
    const directory = join(base.path, 'link')
    symlinkSync(markedDirectory(base.path, [space]), directory)
    const removing = removeUnfinishedClone(new LocalHost('here'), { directory, owner })
    await assert.rejects(removing, /Permission denied/)
    assert.ok(existsSync(join(space, 'PG_14_202107181/5/1')))
  },
)

for (const [what, tablespaces] of [
  ['no list', 'everything'],
  ['a relative path', ['etc']],
  ['a number', [7]],
] as const) {
  test(`a mark whose tablespaces are ${what} names none`, async () => {
    await using base = temporaryDirectory()
    chmodSync(base.path, 0o755)
    const directory = markedDirectory(base.path, tablespaces)
    await clearUnfinishedClone(new LocalHost('here'), { directory, owner })
    assert.ok(!existsSync(join(directory, CLONE_MARK_NAME)))
  })
}
