import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { suite, test } from 'node:test'
import { livenessOf, thisProcess } from '../../../src/util/process-identity.ts'

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

  test('before a reboot everybody is dead, elsewhere nobody knows', () => {
    assert.equal(livenessOf({ ...self, bootId: 'other' }, self), 'dead')
    assert.equal(livenessOf({ ...self, host: 'other' }, self), 'unknown')
    assert.equal(livenessOf({ ...self, pidNamespace: 'other' }, self), 'unknown')
  })
})
