/**
 * Where /proc shows each user his own processes only (hidepid), a server that somebody else runs is not taken for dead.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'

const ROOT = join(import.meta.dirname, '../../..')
const isRoot = process.getuid?.() === 0

test(
  'a server whose process is hidden holds its directory',
  { skip: !isRoot && 'needs root' },
  async () => {
    await using base = temporaryDirectory()
    chmodSync(base.path, 0o755)
    const { uid, gid } = unprivilegedUser
    const look = (owner: number, pid: number): string => {
      const directory = join(base.path, `${owner}-${pid}`)
      mkdirSync(directory)
      writeFileSync(join(directory, 'postmaster.pid'), `${pid}\n${directory}\n`)
      chownSync(directory, owner, 0)
      const code = `import { findPostmaster } from '${join(ROOT, 'src/host/postmaster.ts')}'
      import { LocalHost } from '${join(ROOT, 'src/host/local-host.ts')}'
      console.log((await findPostmaster(new LocalHost('here'), process.argv[1]))?.pid)`
      const drop = `exec setpriv --reuid=${uid} --regid=${gid} --clear-groups -- "$@"`
      const script = `mount -t proc -o hidepid=2 proc /proc && ${drop}`
      const node = [process.execPath, '--input-type=module', '-e', code, directory]
      const words = ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh', ...node]
      const { stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8', cwd: '/' })
      assert.equal(stderr, '')
      return stdout.trim()
    }
    assert.equal(look(0, process.pid), String(process.pid))
    assert.equal(look(0, 4_194_303), 'undefined', 'there is no such process')
    // He is shown all that is his: the pid is another's meanwhile.
    assert.equal(look(uid, process.pid), 'undefined')
  },
)
