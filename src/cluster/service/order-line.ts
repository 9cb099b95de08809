/**
 * The line to a Backstay on another machine that works for this one: the order and signs of life go out, what it tells comes back in
 * lines. The other end is src/cli/session/lifeline.ts.
 */
import type { Writable } from 'node:stream'

/** How often whoever waits for the work says that he is still there. */
export const SIGN_OF_LIFE_MS = 5000

/** Gives the order and then a sign of life again and again, until `signal` aborts. */
export function speakOrder(stdin: Writable, order: unknown, signal: AbortSignal): void {
  stdin.write(`${JSON.stringify(order)}\n`)
  const timer = setInterval(() => {
    // What cannot be written now need not be piled up.
    if (stdin.writable && !stdin.writableNeedDrain) stdin.write('\n')
  }, SIGN_OF_LIFE_MS)
  signal.addEventListener('abort', () => {
    clearInterval(timer)
    stdin.end()
  })
}

/** Cuts what comes in pieces into lines. */
export function linesOf(see: (line: string) => void): (chunk: Buffer) => void {
  let rest = ''
  return (chunk) => {
    const lines = `${rest}${chunk.toString()}`.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) see(line)
  }
}
