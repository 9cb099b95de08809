/**
 * Commands on the host of the primary Barman, through the operator's primary_ssh_command.
 */
import { spawn } from 'node:child_process'
import { BackstayError } from '../../errors/backstay-error.ts'
import { shellQuote } from '../../host/shell-quote.ts'

/** The way to a shell on the primary Barman's host. */
export interface PrimaryShell {
  /** As configured: `ssh barman@vault`. A shell splits it. */
  readonly command: string
  readonly signal: AbortSignal
}

/** Nothing comes for so long: the connection is dead. */
const SILENCE_MS = 120_000
/** More is no answer: some hundred bytes for each backup. */
const MOST_ANSWER_BYTES = 16 * 1024 * 1024
/** More are no names: of millions of objects. */
const MOST_LINES_BYTES = 512 * 1024 * 1024
const MOST_LINE_BYTES = 4096
const NEWLINE = 10
/** What is complained of there is told up to here. */
const COMPLAINT_CHARACTERS = 1000

/** What a script prints there. @throws {BackstayError} HOST_COMMAND; the signal's reason. */
export async function askPrimary(shell: PrimaryShell, script: string): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of streamFromPrimary(shell, script, '')) {
    bytes += part.length
    if (bytes > MOST_ANSWER_BYTES) throw failed(shell, 'its answer has no end')
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

/**
 * Gives `take` the lines that a script prints there, one by one; empty ones, and longer ones than
 * names of objects, are passed over. @throws {BackstayError} HOST_COMMAND; the signal's reason;
 * what `take` throws.
 */
export async function readLinesOfPrimary(
  shell: PrimaryShell,
  script: string,
  take: (line: string) => void,
): Promise<void> {
  let rest = Buffer.alloc(0)
  let bytes = 0
  for await (const part of streamFromPrimary(shell, script, '')) {
    bytes += part.length
    if (bytes > MOST_LINES_BYTES) throw failed(shell, 'its answer has no end')
    // More of a line than one is long is enough to pass it over.
    rest = takeLines(Buffer.concat([rest.subarray(0, MOST_LINE_BYTES), part]), take)
  }
  takeLines(Buffer.concat([rest.subarray(0, MOST_LINE_BYTES), Buffer.of(NEWLINE)]), take)
}

/** Returns what follows the last line end. */
function takeLines(text: Buffer, take: (line: string) => void): Buffer<ArrayBuffer> {
  let start = 0
  for (let end; (end = text.indexOf(NEWLINE, start)) >= 0; start = end + 1) {
    if (end > start && end - start < MOST_LINE_BYTES) take(text.toString('utf8', start, end))
  }
  return Buffer.from(text.subarray(start))
}

/** The same piece by piece, with `input` on its standard input. */
export async function* streamFromPrimary(
  shell: PrimaryShell,
  script: string,
  input: string,
): AsyncIterable<Buffer> {
  const words = ['-c', `${shell.command} ${shellQuote(script)}`]
  const child = spawn('/bin/sh', words, { stdio: ['pipe', 'pipe', 'pipe'] })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let [complaint, why] = ['', '']
  const stop = (because: string): void => {
    why = because
    child.kill('SIGKILL')
    // The shell's ssh holds the pipe as well: nobody waits for it.
    child.stdout.destroy(failed(shell, because))
  }
  let silence = setTimeout(stop, SILENCE_MS, 'it is silent')
  const interrupt = (): void => stop('interrupted')
  shell.signal.addEventListener('abort', interrupt, { once: true })
  child.stdin.on('error', () => {})
  child.stderr.on('data', (part: Buffer) => {
    complaint = (complaint + part.toString()).slice(0, COMPLAINT_CHARACTERS)
  })
  child.on('error', reject)
  child.on('close', (code, signal) => {
    if (code === 0) resolve()
    else reject(failed(shell, `${why || `it ended with ${signal ?? code}`}: ${complaint.trim()}`))
  })
  promise.catch(() => undefined)
  child.stdin.end(input)
  try {
    for await (const part of child.stdout) {
      clearTimeout(silence)
      silence = setTimeout(stop, SILENCE_MS, 'it is silent')
      yield part as Buffer
    }
    await promise
  } finally {
    clearTimeout(silence)
    shell.signal.removeEventListener('abort', interrupt)
    shell.signal.throwIfAborted()
    child.kill('SIGKILL')
  }
}

function failed({ command }: PrimaryShell, why: string): BackstayError {
  return new BackstayError('HOST_COMMAND', `Cannot ask the primary through "${command}": ${why}`, {
    hint: 'Does the command work by hand, for the user barman runs as?',
  })
}
