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

test('what was written is read to its end, however little time this process gets meanwhile', async () => {
  // Each turn of the event loop takes longer than the wait for the rest of the output, which comes in the second one.
  const busy = setInterval(() => {
    const untilMs = performance.now() + 1000
    while (performance.now() < untilMs);
  }, 1)
  try {
    const command = ['sh', '-c', '(sleep 1.25; echo late) & echo early']
    const result = await runChild(command, { ...options, quietMs: 500 })
    assert.deepEqual([result.stdout.toString(), result.isWhole], ['early\nlate\n', true])
  } finally {
    clearInterval(busy)
  }
})

test('output that somebody could still write to is told from output that came to its end', async () => {
  const { stdout, isWhole } = await runChild(['sh', '-c', 'sleep 600 & echo $!'], options)
  process.kill(Number(stdout.toString()), 'SIGKILL')
  assert.equal(isWhole, false)
})

test('what has said all is waited for no longer, though somebody keeps its standard error', async () => {
  const started = performance.now()
  const lines = 'sleep 600 >/dev/null & echo $! ; echo the end >&2'
  const isAllSaid = (stderr: Buffer): boolean => stderr.includes('the end')
  const limits = { ...options, quietMs: 60_000, isAllSaid }
  const { stdout, isWhole } = await runChild(['sh', '-c', lines], limits)
  process.kill(Number(stdout.toString()), 'SIGKILL')
  assert.ok(isWhole && performance.now() - started < 10_000)
})
