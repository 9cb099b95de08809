import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Clock } from '../../../src/util/clock.ts'
import { until } from '../../../src/util/until.ts'

/** A clock whose time passes only by sleeping. */
function quickClock(): Clock & { readonly slept: number[] } {
  let time = 0
  const slept: number[] = []
  return {
    slept,
    now: () => time,
    monotonic: () => time,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      slept.push(ms)
      time += ms
    },
  }
}

suite('bounded wait', () => {
  test('gives the first answer that is neither undefined nor false', async () => {
    const answers = [undefined, false, 0, 1] as const
    let asked = 0
    const answer = await until(() => answers[asked++], { clock: quickClock(), timeoutMs: 1000 })
    assert.equal(answer, 0)
    assert.equal(asked, 3)
  })

  test('asks once even without time, and once more when the time is up', async () => {
    let asked = 0
    const never = (): undefined => void (asked += 1)
    assert.equal(await until(never, { clock: quickClock(), timeoutMs: 0 }), undefined)
    assert.equal(asked, 1)
    const clock = quickClock()
    assert.equal(await until(never, { clock, timeoutMs: 100, intervalMs: 60 }), undefined)
    assert.equal(asked, 4)
    assert.equal(clock.monotonic(), 100)
  })

  test('asks less and less often, up to ten times the first pause', async () => {
    const clock = quickClock()
    await until(() => undefined, { clock, timeoutMs: 10_000, intervalMs: 10 })
    assert.deepEqual(clock.slept.slice(0, 3), [10, 15, 22.5])
    assert.ok(Math.max(...clock.slept) <= 100)
  })

  test('an error of the question ends the wait', async () => {
    const ask = (): never => {
      throw new Error('broken')
    }
    await assert.rejects(until(ask, { clock: quickClock(), timeoutMs: 1000 }), /broken/)
  })

  test('an aborted signal ends the wait with its reason', async () => {
    const controller = new AbortController()
    const wait = until(() => controller.abort(new Error('stop')) as undefined, {
      clock: quickClock(),
      timeoutMs: 1000,
      signal: controller.signal,
    })
    await assert.rejects(wait, /stop/)
  })
})
