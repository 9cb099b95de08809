import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { livenessOf, thisProcess } from '../../../src/util/process-identity.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

const ROOT = join(import.meta.dirname, '../../..')

suite('process identity', () => {
  const self = thisProcess()

  test('this process is alive', () => {
    assert.equal(livenessOf(self, self), 'alive')
    assert.ok(self.pid === process.pid && self.startTicks > 0 && self.bootId !== '')
  })

  test('a pid that was given to another process names nobody', () => {
    assert.equal(livenessOf({ ...self, startTicks: self.startTicks - 1 }, self), 'dead')
  })

  test('a process that ended is dead', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    const pid = child.pid ?? assert.fail()
    await once(child, 'exit')
    assert.equal(livenessOf({ ...self, pid }, self), 'dead')
  })

  test(
    'a process that /proc hides is not taken for dead',
    { skip: !isRoot && 'needs root' },
    () => {
      const { uid, gid } = unprivilegedUser
      const code = `import { livenessOf, thisProcess } from '${join(ROOT, 'src/util/process-identity.ts')}'
      const self = thisProcess()
      const other = JSON.parse(process.argv[1])
      console.log(livenessOf(other, self), livenessOf({ ...other, pid: 4194303 }, self))`
      const drop = `exec setpriv --reuid=${uid} --regid=${gid} --clear-groups -- "$@"`
      const script = `mount -t proc -o hidepid=2 proc /proc && ${drop}`
      const node = [process.execPath, '--input-type=module', '-e', code, JSON.stringify(self)]
      const words = ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh', ...node]
      const { stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8', cwd: '/' })
      assert.equal(stdout.trim(), 'unknown dead', stderr)
    },
  )

  test('a container that was restarted since has nobody of before', () => {
    const now = { ...self, systemdSinceMs: 2000 }
    const other = { ...now, pidNamespace: 'pid:[1]' }
    assert.equal(livenessOf({ ...other, systemdSinceMs: 1000 }, now), 'dead')
    assert.equal(livenessOf(other, now), 'unknown', 'another namespace of the same machine')
    assert.equal(livenessOf({ ...other, systemdSinceMs: undefined }, now), 'unknown')
    assert.equal(livenessOf({ ...other, systemdSinceMs: 3000 }, now), 'unknown')
  })

  test('two boot ids in one boot hide nobody who runs', async () => {
    const child = spawn('sleep', ['60'])
    const pid = child.pid ?? assert.fail()
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const startTicks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
      const here = { ...self, host: 'db1/4a1f' }
      const other = { ...here, pid, startTicks, bootId: 'of the container' }
      assert.equal(livenessOf(other, here), 'alive')
      assert.equal(livenessOf({ ...other, startTicks: startTicks - 1 }, here), 'dead')
      assert.equal(livenessOf({ ...other, pidNamespace: 'pid:[1]' }, here), 'dead')
      const nameOnly = { ...other, host: 'db1/', startTicks: startTicks - 1 }
      assert.equal(livenessOf(nameOnly, { ...here, host: 'db1/' }), 'unknown')
    } finally {
      child.kill()
    }
  })

  test('before a reboot everybody is dead, elsewhere nobody knows', () => {
    assert.equal(livenessOf({ ...self, bootId: 'other' }, self), 'dead')
    assert.equal(livenessOf({ ...self, host: 'other' }, self), 'unknown')
    assert.equal(livenessOf({ ...self, pidNamespace: 'other' }, self), 'unknown')
  })
})
