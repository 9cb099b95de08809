/** A supervised task is started again whatever it does, with growing pauses, until it is told to stop. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { supervise } from '../../../src/service/supervise.ts'
import type { ServiceLog } from '../../../src/service/log.ts'
import type { Clock } from '../../../src/util/clock.ts'

const silent: ServiceLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** Time passes only by sleeping. */
function steppedClock(): Clock & { readonly slept: number[] } {
  const slept: number[] = []
  let now = 0
  return {
    slept,
    now: () => now,
    monotonic: () => now,
    sleep: async (ms) => {
      slept.push(ms)
      now += ms
    },
  }
}

describe('supervise', () => {
  it('doubles the pause while the task fails at once, up to a minute', async () => {
    const clock = steppedClock()
    const stop = new AbortController()
    let runs = 0
    const run = async (): Promise<void> => {
      runs += 1
      if (runs === 9) stop.abort()
      throw new Error('no')
    }
    await supervise({ name: 'task', run }, { clock, log: silent, signal: stop.signal })
    assert.deepEqual(clock.slept, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
  })

  it('begins with the first pause again after the task ran well', async () => {
    const clock = steppedClock()
    const stop = new AbortController()
    let runs = 0
    const run = async (): Promise<void> => {
      runs += 1
      if (runs === 3) await clock.sleep(70_000)
      if (runs === 5) stop.abort()
    }
    await supervise({ name: 'task', run }, { clock, log: silent, signal: stop.signal })
    assert.deepEqual(clock.slept, [1000, 2000, 70_000, 1000, 2000])
  })

  it('runs nothing once it was told to stop', async () => {
    let runs = 0
    const run = async (): Promise<void> => void (runs += 1)
    const options = { clock: steppedClock(), log: silent, signal: AbortSignal.abort() }
    await supervise({ name: 'task', run }, options)
    assert.equal(runs, 0)
  })
})
