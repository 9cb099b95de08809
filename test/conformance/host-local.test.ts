/**
 * The local driver: as the user the tests run as (root: it can act as the unprivileged user), and once more unprivileged.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, test } from 'node:test'
import { LocalHost } from '../../src/host/local-host.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../harness/unprivileged-user.ts'
import { hostConformance } from './host.ts'

const base = temporaryDirectory()
after(() => base[Symbol.asyncDispose]())

hostConformance(`LocalHost as ${isRoot ? 'root' : 'itself'}`, async () => {
  const host = new LocalHost('here')
  const directory = `${base.path}/suite`
  await host.makeDirectory(directory, { mode: 0o755 })
  return { host, directory, otherUser: isRoot ? unprivilegedUser.name : undefined }
})

test('LocalHost passes the same suite when run by an unprivileged user', (t) => {
  if (!isRoot) return t.skip('the suite above was unprivileged')
  const { uid, gid } = unprivilegedUser
  const drop = [`--reuid=${uid}`, `--regid=${gid}`, '--init-groups', '--']
  const node = [process.execPath, '--test', '--test-reporter=tap', import.meta.filename]
  if (spawnSync('setpriv', [...drop, 'test', '-r', import.meta.filename]).status !== 0) {
    return t.skip(`${unprivilegedUser.name} cannot read the checkout`)
  }
  const { PATH } = process.env
  const result = spawnSync('setpriv', [...drop, ...node], {
    cwd: '/',
    env: { PATH },
    encoding: 'utf8',
  })
  assert.equal(result.status, 0, result.stdout)
  assert.match(result.stdout, /^# fail 0$/m)
})
