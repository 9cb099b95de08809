/**
 * Child processes of this machine: what only the local driver promises.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChild } from '../../../src/host/child-process.ts'

const options = { directory: '/', environment: { PATH: '/usr/bin:/bin' }, timeoutMs: 20_000 }

test('a daemon that keeps the pipes open does not hold the command back', async () => {
  const started = performance.now()
  const result = await runChild(['sh', '-c', 'sleep 600 & echo $!'], options)
  process.kill(Number(result.stdout.toString()), 'SIGKILL')
  assert.ok(performance.now() - started < 10_000)
  assert.deepEqual([result.exitCode, result.timedOut], [0, false])
})

test('an endless output does not grow in memory', async () => {
  const before = process.memoryUsage().rss
  const result = await runChild(['sh', '-c', 'head -c 300000000 /dev/zero'], options)
  assert.equal(result.stdout.length, 1024 * 1024)
  assert.ok(process.memoryUsage().rss - before < 150 * 1024 * 1024)
})

test('a very long time limit is one', async () => {
  const result = await runChild(['true'], { ...options, timeoutMs: 1e12 })
  assert.deepEqual([result.exitCode, result.timedOut], [0, false])
})
