/**
 * Commands on the host of the primary Barman, through the operator's primary_ssh_command.
 */
import { spawn } from 'node:child_process'
import { BackstayError } from '../../errors/backstay-error.ts'
import { shellQuote } from '../../host/shell-quote.ts'
import { gatherComplaint, gatherOutput } from '../../util/gather-output.ts'

/** The way to a shell on the primary Barman's host. */
export interface PrimaryShell {
  /** As configured: `ssh barman@vault`. A shell splits it. */
  readonly command: string
  readonly signal: AbortSignal
}

/** Nothing comes for so long: the connection is dead. */
export const SILENCE_MS = 120_000
/** More is no answer. */
const MOST_ANSWER_BYTES = 256 * 1024 * 1024
/** What is complained of there is told up to here. */
const COMPLAINT_CHARACTERS = 1000

/** What a script prints there. @throws {BackstayError} HOST_COMMAND; the signal's reason. */
export async function askPrimary(shell: PrimaryShell, script: string): Promise<string> {
  const words = ['-c', `${shell.command} ${shellQuote(script)}`]
  const child = spawn('/bin/sh', words, { stdio: ['ignore', 'pipe', 'pipe'] })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let why = ''
  const stop = (because: string): void => {
    why = because
    child.kill('SIGKILL')
    // The shell's ssh holds the pipes as well: nobody waits for it.
    for (const pipe of [child.stdout, child.stderr]) pipe.destroy()
  }
  const answer = gatherOutput(child, MOST_ANSWER_BYTES, () => (why = 'its answer has no end'))
  const complaint = gatherComplaint(child.stderr, COMPLAINT_CHARACTERS)
  const silence = setTimeout(stop, SILENCE_MS, 'it is silent')
  const interrupt = (): void => stop('interrupted')
  shell.signal.addEventListener('abort', interrupt, { once: true })
  child.stdout.on('data', () => silence.refresh())
  child.once('error', reject).once('close', (code, signal) => {
    if (code === 0) resolve()
    else
      reject(
        primaryError(shell, `${why || `it ended with ${signal ?? code}`}: ${complaint().trim()}`),
      )
  })
  try {
    await promise
    return answer().toString()
  } finally {
    clearTimeout(silence)
    shell.signal.removeEventListener('abort', interrupt)
    shell.signal.throwIfAborted()
  }
}

/** It could not be asked, or failed at what it was asked for. */
export function primaryError({ command }: PrimaryShell, why: string): BackstayError {
  return new BackstayError('HOST_COMMAND', `Cannot ask the primary through "${command}": ${why}`, {
    hint: 'Does the command work by hand, for the user barman runs as?',
  })
}
