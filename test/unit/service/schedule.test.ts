/** Jobs run on time or when asked for, never twice at once, and what became of them is known. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BackstayError, isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { ServiceLog } from '../../../src/service/log.ts'
import { type Job, Schedule } from '../../../src/service/schedule.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { until } from '../../harness/until.ts'

const silent: ServiceLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

function scheduleOf(...jobs: Job[]): Schedule {
  return new Schedule(jobs, { clock: systemClock, log: silent })
}

describe('Schedule', () => {
  it('runs a job at its times', async () => {
    let runs = 0
    const run = async (): Promise<void> => void (runs += 1)
    await using schedule = scheduleOf({ name: 'tick', cron: '* * * * * *', run })
    await until('the job to have run twice', () => runs >= 2)
    const [state] = schedule.states()
    assert.equal(state?.outcome, 'done')
    assert.ok((state?.nextAtMs ?? 0) > Date.now() - 1000)
  })

  it('runs a job when it is asked to, once at a time', async () => {
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const run = async (): Promise<void> => {
      runs += 1
      await gate.promise
    }
    await using schedule = scheduleOf({ name: 'job', cron: undefined, run })
    assert.equal(schedule.trigger('job'), 'started')
    assert.equal(schedule.trigger('job'), 'running')
    assert.equal(schedule.states()[0]?.isRunning, true)
    gate.resolve()
    await schedule.ended('job')
    assert.equal(runs, 1)
    assert.equal(schedule.trigger('job'), 'started')
  })

  it('keeps what a failed job said, and runs it again the next time', async () => {
    const run = async (): Promise<void> => {
      throw new BackstayError('DISK_SPACE', 'Cannot do it')
    }
    await using schedule = scheduleOf({ name: 'job', cron: undefined, run })
    schedule.trigger('job')
    await schedule.ended('job')
    assert.deepEqual(schedule.states()[0]?.problem, { code: 'DISK_SPACE', message: 'Cannot do it' })
    assert.equal(schedule.trigger('job'), 'started')
  })

  it('aborts what runs when it ends, and waits for it', async () => {
    let ended = false
    const run = async (signal: AbortSignal): Promise<void> => {
      await systemClock.sleep(60_000, signal).catch(() => undefined)
      ended = true
    }
    {
      await using schedule = scheduleOf({ name: 'job', cron: undefined, run })
      schedule.trigger('job')
    }
    assert.ok(ended)
  })

  it('refuses a cron expression that is none, and a job that is not there', async () => {
    const run = async (): Promise<void> => undefined
    assert.throws(
      () => scheduleOf({ name: 'job', cron: 'at noon', run }),
      (error) => isBackstayError(error, 'CONFIG_INVALID'),
    )
    await using schedule = scheduleOf({ name: 'job', cron: undefined, run })
    assert.throws(
      () => schedule.trigger('other'),
      (error) => isBackstayError(error, 'USAGE') && /Jobs are: job/.test(error.hint),
    )
  })
})
