/**
 * Standard input as the line to whoever ordered some work from elsewhere: the order first, then
 * signs of life. Work that nobody waits for any more would change a server behind the back of the
 * next operator, so it ends, in good order or at once.
 */
import type { Readable } from 'node:stream'
import { SIGN_OF_LIFE_MS } from '../../fleet/order-line.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { exitNow } from '../../util/end-process.ts'

/** Signs of life may be missed while a network recovers: a minute of them. */
const MISSED_MAX = 12
/** For the end in good order. */
const GRACE_MS = 10_000
const ORDER_LENGTH_MAX = 64 * 1024 * 1024

/** An open line. Disposing it when the work is done stops watching. */
export interface Lifeline extends Disposable {
  /** The first line. Rejects when the line ends before. */
  readonly order: Promise<string>
  /**
   * Aborts when the line ends or is silent for too long; the process is ended 10 s later if it is
   * still there.
   */
  readonly signal: AbortSignal
}

/** Opens the line on `stdin` and begins to watch it. */
export function openLifeline(stdin: Readable): Lifeline {
  const controller = new AbortController()
  const order = Promise.withResolvers<string>()
  order.promise.catch(() => undefined)
  let head: Buffer[] | undefined = []
  let missed = 0
  let lastResort: NodeJS.Timeout | undefined
  const lose = (how: string): void => {
    if (controller.signal.aborted) return
    const error = new BackstayError('INTERRUPTED', `Whoever ordered this work is gone: ${how}`)
    order.reject(error)
    controller.abort(error)
    lastResort = setTimeout(() => exitNow(error.exitCode), GRACE_MS)
  }
  // Counted, not measured: after a pause of the whole machine the signs that came meanwhile are
  // read first.
  const watch = setInterval(() => {
    missed += 1
    if (missed > MISSED_MAX) lose('there was no sign of life for a minute')
  }, SIGN_OF_LIFE_MS)
  const see = (chunk: Buffer): void => {
    missed = 0
    if (head === undefined) return
    head.push(chunk)
    const text = chunk.includes('\n') ? Buffer.concat(head).toString() : undefined
    if (text !== undefined) {
      head = undefined
      order.resolve(text.slice(0, text.indexOf('\n')))
    } else if (head.reduce((sum, { length }) => sum + length, 0) > ORDER_LENGTH_MAX) {
      lose('its order has no end')
    }
  }
  const end = (): void => lose('standard input has ended')
  stdin.on('data', see).once('end', end).once('error', end).once('close', end)
  return {
    order: order.promise,
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearInterval(watch)
      clearTimeout(lastResort)
      stdin.off('data', see).off('end', end).off('error', end).off('close', end)
      stdin.destroy()
    },
  }
}
