/**
 * The line to a Backstay on another machine that works for this one: the order and signs of life go
 * out, what it tells comes back in lines. The other end is src/cli/session/lifeline.ts.
 */
import type { Writable } from 'node:stream'
import { BackstayError } from '../errors/backstay-error.ts'
import type { HostCommandResult, Host } from '../host/host.ts'

/** How often whoever waits for the work says that he is still there. */
export const SIGN_OF_LIFE_MS = 5000

/** Large clusters take hours; a dead connection is noticed by ssh itself. */
const TIMEOUT_MS = 14 * 86_400_000

/** What the far side tells is bounded there; a machine in other hands may send anything. */
const LINE_CHARACTERS_MAX = 1024 ** 2

/** What is ordered, and who hears of it. */
export interface Ordered {
  readonly order: unknown
  /** Sees each line that is told. */
  readonly hear: (line: string) => void
  readonly signal: AbortSignal
  /** OS user the work runs as. Default: the login. */
  readonly user?: string
}

/**
 * Runs `command` there on an order, until it ends; it ends when this process does.
 * @throws HOST_UNREACHABLE; the signal's reason
 */
export async function runOrdered(
  host: Host,
  command: readonly string[],
  { order, hear, signal, user }: Ordered,
): Promise<HostCommandResult> {
  const life = new AbortController()
  try {
    return await host.run(command, {
      input: (stdin) => speakOrder(stdin, order, life.signal),
      onStdout: linesOf(hear, () => life.abort(tooLong(host.name))),
      timeoutMs: TIMEOUT_MS,
      signal: AbortSignal.any([signal, life.signal]),
      ...(user === undefined ? {} : { user }),
    })
  } finally {
    life.abort()
  }
}

/** Gives the order and then a sign of life again and again, until `signal` aborts. */
function speakOrder(stdin: Writable, order: unknown, signal: AbortSignal): void {
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

function tooLong(name: string): BackstayError {
  return new BackstayError(
    'FAILED',
    `"${name}" tells more than ${LINE_CHARACTERS_MAX} characters in one line`,
  )
}

/**
 * Cuts what comes in pieces into lines.
 * @param onTooLong called for one that does not end; nothing more is seen then
 */
function linesOf(see: (line: string) => void, onTooLong: () => void): (chunk: Buffer) => void {
  let rest = ''
  let isOver = false
  return (chunk) => {
    if (isOver) return
    const lines = `${rest}${chunk.toString()}`.split('\n')
    rest = lines.pop() ?? ''
    isOver = rest.length > LINE_CHARACTERS_MAX
    if (isOver) onTooLong()
    for (const line of lines) see(line)
  }
}
