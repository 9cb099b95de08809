import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { claimDirectory, findDistrust, trustedUids } from '../../../src/util/trusted-path.ts'
import { actAs, STRANGER as EVE } from '../../harness/other-user.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

const STRANGER = 65_534
const OTHER = 54_321
const self = trustedUids(process.getuid?.() ?? 0, undefined)

test('root trusts who called sudo; nobody else does', () => {
  // Nobody has that number, so sudo allows him nothing.
  assert.deepEqual([...trustedUids(0, '3999999999')], [0])
  assert.deepEqual([...trustedUids(1001, '1000')], [1001, 0])
  assert.deepEqual([...trustedUids(0, 'root')], [0])
})

test('what is one’s own is trusted, also below /tmp, and before it is there', async () => {
  await using base = temporaryDirectory()
  const file = join(base.path, 'a/file')
  mkdirSync(join(base.path, 'a'))
  assert.equal(findDistrust(file, self), undefined)
  writeFileSync(file, '')
  assert.equal(findDistrust(file, self), undefined)
})

test('a file or directory that everybody may write is not', async () => {
  await using base = temporaryDirectory()
  const directory = join(base.path, 'a')
  const file = join(directory, 'file')
  mkdirSync(directory)
  writeFileSync(file, '')
  chmodSync(file, 0o666)
  assert.deepEqual(findDistrust(file, self), { path: file, why: 'may be written by everybody' })
  chmodSync(file, 0o600)
  chmodSync(directory, 0o777)
  assert.equal(findDistrust(file, self)?.path, directory)
  chmodSync(directory, 0o1777)
  assert.equal(findDistrust(file, self), undefined)
})

test('what is missing where others may make it is an answer of its own, and not trust', async () => {
  await using base = temporaryDirectory()
  chmodSync(base.path, 0o1777)
  const missing = { path: join(base.path, 'a'), why: 'is not there, and others may make it' }
  assert.deepEqual(findDistrust(join(base.path, 'a/b'), self), { ...missing, isMissing: true })
  symlinkSync(join(base.path, 'a'), join(base.path, 'link'))
  assert.deepEqual(findDistrust(join(base.path, 'link'), self), { ...missing, isMissing: true })
  mkdirSync(join(base.path, 'own'))
  assert.equal(findDistrust(join(base.path, 'own/a'), self), undefined)
})

test('two dots lead through what stands before them, as they do for the system', async () => {
  await using base = temporaryDirectory()
  const [shared, own] = [join(base.path, 'shared'), join(base.path, 'own')]
  for (const path of [shared, own, join(own, 'deep')]) mkdirSync(path)
  writeFileSync(join(own, 'file'), '')
  chmodSync(shared, 0o777)
  symlinkSync(join(own, 'deep'), join(shared, 'way'))
  symlinkSync('shared/way/../../own/file', join(base.path, 'link'))
  const distrust = { path: shared, why: 'may be written by everybody' }
  assert.deepEqual(findDistrust(join(base.path, 'link'), self), distrust)
  assert.deepEqual(findDistrust(`${shared}/way/../../own/file`, self), distrust)
  symlinkSync('own/deep/../file', join(base.path, 'straight'))
  assert.equal(findDistrust(join(base.path, 'straight'), self), undefined)
})

test('what is missing is claimed before others can make it, with its mode whatever the umask is', async () => {
  await using base = temporaryDirectory()
  chmodSync(base.path, 0o1777)
  const path = join(base.path, 'a/b')
  const found = findDistrust(path, self)
  const before = process.umask(0o077)
  const after = found && claimDirectory(path, found, { trusted: self, mode: 0o755 })
  process.umask(before)
  assert.equal(after, undefined)
  const { uid, mode } = statSync(join(base.path, 'a'))
  assert.deepEqual([uid, mode & 0o777], [process.getuid?.(), 0o755])
})

test('a file with a second name in a directory of everybody’s is not trusted', async () => {
  await using base = temporaryDirectory()
  chmodSync(base.path, 0o1777)
  mkdirSync(join(base.path, 'own'))
  const file = join(base.path, 'own/file')
  writeFileSync(file, '')
  linkSync(file, join(base.path, 'name'))
  assert.match(findDistrust(join(base.path, 'name'), self)?.why ?? '', /has a second name/)
  assert.equal(findDistrust(file, self), undefined)
})

test('a circle of links is not', async () => {
  await using base = temporaryDirectory()
  symlinkSync(join(base.path, 'b'), join(base.path, 'a'))
  symlinkSync(join(base.path, 'a'), join(base.path, 'b'))
  assert.equal(findDistrust(join(base.path, 'a'), self)?.why, 'is a link that leads nowhere')
})

describe('of others', { skip: !isRoot && 'needs root' }, () => {
  test('nothing is trusted: a file, a directory above it, a link, what a link leads to', async () => {
    await using base = temporaryDirectory()
    const [mine, theirs] = [join(base.path, 'mine'), join(base.path, 'theirs')]
    mkdirSync(mine)
    mkdirSync(theirs)
    writeFileSync(join(mine, 'file'), '')
    writeFileSync(join(theirs, 'file'), '')
    chownSync(theirs, STRANGER, STRANGER)
    assert.deepEqual(findDistrust(join(theirs, 'file'), self), {
      path: theirs,
      why: 'belongs to "nobody"',
    })
    symlinkSync(theirs, join(mine, 'way'))
    assert.equal(findDistrust(join(mine, 'way/file'), self)?.path, theirs)
    symlinkSync(join(mine, 'file'), join(base.path, 'link'))
    assert.equal(findDistrust(join(base.path, 'link'), self), undefined)
    chownSync(join(mine, 'file'), OTHER, OTHER)
    assert.equal(findDistrust(join(base.path, 'link'), self)?.why, `belongs to user ${OTHER}`)
    assert.equal(findDistrust(join(base.path, 'link'), new Set([0, OTHER])), undefined)
  })

  test('what somebody made first is not claimed, and nothing that went again is', async () => {
    await using base = temporaryDirectory()
    const path = join(base.path, 'a')
    const found = findDistrust(path, self)
    assert.ok(found)
    assert.equal(actAs(EVE, 'mkdir -- "$1"', path), true)
    const claimed = claimDirectory(path, found, { trusted: self, mode: 0o755 })
    assert.deepEqual(claimed, { path, why: `belongs to user ${EVE.uid}` })
    assert.equal(statSync(path).uid, EVE.uid)
  })

  test('a group counts, unless it is the owner’s alone', async () => {
    await using base = temporaryDirectory()
    const file = join(base.path, 'file')
    writeFileSync(file, '')
    chmodSync(file, 0o664)
    assert.equal(findDistrust(file, self), undefined, 'root’s own group')
    chownSync(file, 0, OTHER)
    assert.equal(findDistrust(file, self)?.why, `may be written by group ${OTHER}`)
    const { name, uid, gid } = unprivilegedUser
    if (name === 'nobody') return
    chownSync(file, uid, gid)
    assert.equal(findDistrust(file, new Set([0, uid])), undefined, `group of ${name}`)
  })
})

test('what root’s directory keeps out of sight counts as root’s; below one that others may write it does not', async (t) => {
  if (!isRoot) return t.skip('needs root')
  await using base = temporaryDirectory()
  chmodSync(base.path, 0o755)
  const hidden = join(base.path, 'hidden')
  mkdirSync(join(hidden, 'state'), { recursive: true })
  chmodSync(hidden, 0o700)
  assert.equal(foundBy(unprivilegedUser, join(hidden, 'state')), 'null')
  chmodSync(hidden, 0o1702)
  assert.match(foundBy(unprivilegedUser, join(hidden, 'state')), /cannot be looked at/)
})

/** What `findDistrust` says to another user, as JSON. */
function foundBy(
  { uid, gid }: { readonly uid: number; readonly gid: number },
  path: string,
): string {
  const module = join(import.meta.dirname, '../../../src/util/trusted-path.ts')
  const script = `import { findDistrust } from ${JSON.stringify(module)}
    console.log(JSON.stringify(findDistrust(process.argv[1], new Set([0, ${uid}])) ?? null))`
  const words = ['--input-type=module-typescript', '-e', script, path]
  const said = spawnSync(process.execPath, words, { uid, gid, cwd: '/', encoding: 'utf8' })
  assert.equal(said.status, 0, said.stderr)
  return said.stdout.trim()
}
