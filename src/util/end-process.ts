/**
 * Ends the process. Not with process.exit(), and not by letting the event loop run dry: both have
 * Node.js wait for V8's background threads, and one of those that wants the main thread to collect
 * garbage waits for ever, because that thread is ending (nodejs/node#54918). A restore_command that
 * hangs so has delivered its segment and still holds up the recovery. So the process becomes a
 * shell that ends with our exit code: the kernel stops all threads, and nobody waits for any.
 */
import { accessSync, constants } from 'node:fs'
import process from 'node:process'

const SHELL = '/bin/sh'

let isOutputGivenUp = false

/**
 * Whoever reads standard output takes nothing any more: the end of the process does not wait for
 * what is not written.
 */
export function giveUpOutput(): void {
  isOutputGivenUp = true
}

/** Ends the process now, whatever is under way. Listeners of `exit` are called first. */
export function exitNow(exitCode: number): never {
  process.emit('exit', exitCode)
  process.removeAllListeners('exit')
  if (hasShell()) {
    restoreStreams()
    process.execve?.(SHELL, ['sh', '-c', `exit ${exitCode}`], {})
  }
  process.exit(exitCode)
}

/**
 * Ends the process when all that was written to standard output and standard error has left it, or
 * cannot leave it any more.
 */
export async function endProcess(exitCode: number): Promise<never> {
  const streams = isOutputGivenUp ? [] : [process.stdout, process.stderr]
  await Promise.all(streams.map(written))
  exitNow(exitCode)
}

/**
 * Gives the standard streams back as they were, which only an ordinary exit does by itself: Node.js
 * has made pipes non-blocking for everybody who shares them, PostgreSQL's log among them, and a
 * terminal may be raw.
 */
function restoreStreams(): void {
  const { stdin } = process
  if (stdin.isTTY && stdin.isRaw) stdin.setRawMode(false)
  for (const stream of [stdin, process.stdout, process.stderr]) {
    // Has no public name; without it there is nothing to restore.
    const { _handle: handle } = stream as { _handle?: { setBlocking?(isBlocking: boolean): void } }
    handle?.setBlocking?.(true)
  }
}

/** An execve that fails would end the process with a core dump instead of our exit code. */
function hasShell(): boolean {
  try {
    accessSync(SHELL, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve())
  })
}
