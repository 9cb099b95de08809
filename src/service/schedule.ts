/**
 * Jobs that run at times of a cron expression or when somebody asks: one run of a job at a time,
 * never two. What a job does is given to it; this file only knows when, and what became of it.
 */
import { Cron } from 'croner'
import { BackstayError } from '../errors/backstay-error.ts'
import { firstErrorOf } from '../errors/first-error.ts'
import type { Clock } from '../util/clock.ts'
import { errorFacts, type ServiceLog } from './log.ts'

/** Work that is done from time to time. */
export interface Job {
  /** Unique in the service: `shop: backup`. */
  readonly name: string
  /** Five or six fields, in the machine's time zone; undefined: only when asked for. */
  readonly cron: string | undefined
  /**
   * Does the work. What it returns is kept as the last result. Ends itself when `signal` aborts.
   */
  run(signal: AbortSignal): Promise<object | void>
}

/** What is known of a job. Times are epoch milliseconds. */
export interface JobState {
  readonly name: string
  readonly cron: string | undefined
  readonly isRunning: boolean
  readonly nextAtMs: number | undefined
  readonly startedAtMs: number | undefined
  readonly endedAtMs: number | undefined
  readonly outcome: 'done' | 'failed' | undefined
  readonly result: object | undefined
  readonly problem: { readonly code: string; readonly message: string } | undefined
}

interface Entry {
  readonly job: Job
  readonly timer: Cron | undefined
  running: Promise<void> | undefined
  state: Omit<JobState, 'nextAtMs' | 'isRunning'>
}

/** Runs jobs on time until disposed; disposing aborts what runs and waits for it. */
export class Schedule implements AsyncDisposable {
  readonly #clock: Clock
  readonly #log: ServiceLog
  readonly #stop = new AbortController()
  readonly #entries = new Map<string, Entry>()

  /** @throws {BackstayError} CONFIG_INVALID for a cron expression that is none. */
  constructor(jobs: readonly Job[], surroundings: { clock: Clock; log: ServiceLog }) {
    this.#clock = surroundings.clock
    this.#log = surroundings.log
    for (const job of jobs) this.#entries.set(job.name, this.#enter(job))
  }

  /** What is known of every job. */
  states(): readonly JobState[] {
    return [...this.#entries.values()].map((entry) => ({
      ...entry.state,
      isRunning: entry.running !== undefined,
      nextAtMs: entry.timer?.nextRun()?.getTime(),
    }))
  }

  /**
   * Starts a job now; `running` when it runs already. Does not wait for its end.
   * @throws {BackstayError} USAGE when there is no such job.
   */
  trigger(name: string): 'started' | 'running' {
    const entry = this.#entries.get(name)
    if (entry === undefined) {
      throw new BackstayError('USAGE', `Cannot start job "${name}": there is no such job`, {
        hint: `Jobs are: ${[...this.#entries.keys()].join(', ')}.`,
      })
    }
    if (entry.running !== undefined) return 'running'
    entry.running = this.#run(entry).finally(() => {
      entry.running = undefined
    })
    return 'started'
  }

  /** Resolves when a job that runs now has ended. */
  async ended(name: string): Promise<void> {
    await this.#entries.get(name)?.running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const entries = [...this.#entries.values()]
    for (const entry of entries) entry.timer?.stop()
    this.#stop.abort(new BackstayError('INTERRUPTED', 'The service stops'))
    for (const entry of entries) await entry.running
  }

  #enter(job: Job): Entry {
    const { name, cron } = job
    const state = {
      name,
      cron,
      startedAtMs: undefined,
      endedAtMs: undefined,
      outcome: undefined,
      result: undefined,
      problem: undefined,
    }
    return { job, timer: this.#timer(job), running: undefined, state }
  }

  #timer(job: Job): Cron | undefined {
    if (job.cron === undefined) return undefined
    try {
      return new Cron(job.cron, { unref: true }, () => this.#onTime(job))
    } catch (error) {
      throw new BackstayError(
        'CONFIG_INVALID',
        `Cannot schedule "${job.name}": "${job.cron}" is no cron expression`,
        { cause: error, hint: 'Use five fields as in crontab, for example "0 2 * * *".' },
      )
    }
  }

  #onTime(job: Job): void {
    if (this.trigger(job.name) === 'started') return
    this.#log.warn({ job: job.name }, 'skipped: the run before has not ended')
  }

  async #run(entry: Entry): Promise<void> {
    const { job } = entry
    entry.state = { ...entry.state, startedAtMs: this.#clock.now() }
    this.#log.info({ job: job.name }, 'job started')
    try {
      const result = (await job.run(this.#stop.signal)) ?? undefined
      this.#note(entry, { outcome: 'done', result, problem: undefined })
      this.#log.info({ job: job.name, result }, 'job done')
    } catch (thrown) {
      const error = firstErrorOf(thrown)
      const code = error instanceof BackstayError ? error.code : 'BUG'
      const message = error instanceof Error ? error.message : String(error)
      this.#note(entry, { outcome: 'failed', problem: { code, message } })
      this.#log.error({ job: job.name, ...errorFacts(error) }, 'job failed')
    }
  }

  #note(entry: Entry, change: Partial<Entry['state']>): void {
    entry.state = { ...entry.state, ...change, endedAtMs: this.#clock.now() }
  }
}
