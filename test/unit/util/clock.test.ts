import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { systemClock } from '../../../src/util/clock.ts'

suite('system clock', () => {
  test('sleeps at least as long as asked, by its own monotonic time', async () => {
    const start = systemClock.monotonic()
    await systemClock.sleep(20)
    assert.ok(systemClock.monotonic() - start >= 19)
  })

  test('an aborted sleep rejects with the reason of the signal', async () => {
    const reason = new Error('interrupted')
    await assert.rejects(systemClock.sleep(60_000, AbortSignal.abort(reason)), reason)
    const controller = new AbortController()
    const sleep = systemClock.sleep(60_000, controller.signal)
    controller.abort(reason)
    await assert.rejects(sleep, reason)
  })

  test('tells the time of day', () => {
    assert.ok(Math.abs(systemClock.now() - Date.now()) < 1000)
  })
})
