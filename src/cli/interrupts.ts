/**
 * Signals that end the program: the first one aborts what runs, so that it stops in good order; a
 * second Ctrl-C ends the process at once.
 */
import { constants } from 'node:os'
import { BackstayError } from '../errors/backstay-error.ts'
import { exitNow } from '../util/end-process.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * One Ctrl-C can arrive twice: from the terminal, and forwarded by bin/backstay.js where that runs
 * us as a child.
 */
const SAME_KEYPRESS_MS = 500

/** The interruptions of this process. */
export interface Interrupts {
  /** Aborts with an INTERRUPTED error as reason. */
  readonly signal: AbortSignal
  /** The exit code of an interrupted process (128 + signal); undefined while nobody interrupted. */
  exitCode(): number | undefined
  /** Interrupts from inside: the reader of our output is gone. */
  interrupt(signal: NodeJS.Signals): void
  /** From now on SIGHUP is nothing. */
  ignoreHangup(): void
}

/** Starts watching. Only for the life of the process: nothing stops it. */
export function watchInterrupts(process: NodeJS.Process): Interrupts {
  const controller = new AbortController()
  let firstSignal: NodeJS.Signals | undefined
  let firstAtMs = 0
  const exitCode = () =>
    firstSignal === undefined ? undefined : 128 + constants.signals[firstSignal]
  const interrupt = (signal: NodeJS.Signals) => {
    if (firstSignal === undefined) {
      firstSignal = signal
      firstAtMs = performance.now()
      controller.abort(new BackstayError('INTERRUPTED', `Interrupted by ${signal}`))
    } else if (signal === 'SIGINT' && performance.now() - firstAtMs > SAME_KEYPRESS_MS) {
      exitNow(128 + constants.signals.SIGINT)
    }
  }
  for (const signal of SIGNALS) process.on(signal, interrupt)
  const ignoreHangup = () => {
    process.off('SIGHUP', interrupt)
    process.on('SIGHUP', () => {})
  }
  return { signal: controller.signal, exitCode, interrupt, ignoreHangup }
}
