/**
 * Who may write the repository names in a lock a process that never held it.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import type { BarmanContext } from '../../../src/barman/context.ts'
import { stopTask } from '../../../src/barman/server/receiver-process.ts'
import { clusterNames } from '../../../src/repository/format.ts'
import { putSealed } from '../../../src/repository/sealed-object.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { isProcessIdentity, thisProcess } from '../../../src/util/process-identity.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

test('a lock that lasts until a time ends no process, whatever holder it names', async () => {
  await using directory = temporaryDirectory()
  const other = spawn('sleep', ['300'], { stdio: 'ignore' })
  const ended = once(other, 'exit')
  try {
    await once(other, 'spawn')
    const object = `${clusterNames('main').locks}/receiver/1.json`
    const holder = { ...thisProcess(), host: 'elsewhere/', pid: other.pid }
    await putSealed(new DiskStore(directory.path), object, {
      name: 'receiver',
      mode: 'exclusive',
      purpose: 'receive WAL',
      takenAt: '2026-01-01T00:00:00.000Z',
      until: '2999-01-01T00:00:00.000Z',
      holder,
    })
    const context = { config: {}, clock: systemClock, signal: new AbortController().signal }
    const server = { name: 'main', repository: directory.path }
    assert.ok(await stopTask(context as BarmanContext, server as never, 'receive-wal'))
    assert.equal(other.signalCode, null)
  } finally {
    other.kill('SIGKILL')
  }
  assert.deepEqual(await ended, [null, 'SIGKILL'])
})

test('a pid that stands for many processes is none', () => {
  for (const pid of [0, -1, -process.pid]) {
    assert.equal(isProcessIdentity({ ...thisProcess(), pid }), false)
  }
  assert.ok(isProcessIdentity(thisProcess()))
})
