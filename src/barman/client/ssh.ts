/**
 * The ssh command a client runs, and how its end becomes the client's exit code.
 */
import { spawn } from 'node:child_process'
import { StringDecoder } from 'node:string_decoder'
import { printable } from '../../errors/printable.ts'
import { redact } from '../../errors/redact.ts'
import { gatherOutput } from '../../util/gather-output.ts'
import { ClientError, USAGE_EXIT_CODE } from './client-program.ts'

/** Where the Barman host is. */
export interface RemoteBarman {
  readonly host: string
  readonly user: string
  readonly port: string | undefined
}

/** What ssh ended with. */
export interface SshResult {
  readonly exitCode: number
  readonly stdout: Buffer
}

/** ssh ends with this when there was no connection. */
export const SSH_FAILED = 255

/** `ssh -p 22 -q -T barman@vault barman`, to be followed by the words of the command. */
export function sshCommand({ host, user, port }: RemoteBarman): string[] {
  const portWords = port === undefined ? [] : ['-p', port]
  return ['ssh', ...portWords, '-q', '-T', `${user}@${host}`, 'barman']
}

/** A word as the remote shell is to read it. */
export function shellWord(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** Of what is only said: more is dropped from standard error. */
export const SAID_BYTES_MAX = 64 * 1024

/**
 * Runs a command with `input` on its standard input and gathers its output; standard error is
 * passed on. Whoever is at the other end can neither fill memory nor write into a terminal.
 * @throws {ClientError} when the output is longer than `mostBytes`; the errno error when the
 * program cannot be started.
 */
export async function runSsh(
  [program = '', ...words]: readonly string[],
  input: Buffer,
  mostBytes: number,
): Promise<SshResult> {
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] })
  const { promise, resolve, reject } = Promise.withResolvers<SshResult>()
  const output = gatherOutput(child, mostBytes, () => reject(tooMuch(mostBytes)))
  child.on('error', reject)
  // A remote command that ends early closes the pipe: its exit code says more than our EPIPE.
  child.stdin.on('error', () => {})
  passOn(child.stderr)
  child.on('close', (code) => {
    resolve({ exitCode: code ?? SSH_FAILED, stdout: output() })
  })
  child.stdin.end(input)
  return await promise
}

function tooMuch(mostBytes: number): ClientError {
  const text = `The Barman host sent more than ${mostBytes} bytes, which is no answer to what was asked`
  return new ClientError(text, USAGE_EXIT_CODE)
}

/** What is said there, to our own standard error. */
function passOn(stderr: NodeJS.ReadableStream): void {
  const decoder = new StringDecoder('utf8')
  let left = SAID_BYTES_MAX
  stderr.on('data', (part: Buffer) => {
    if (left > 0) process.stderr.write(printable(redact(decoder.write(part.subarray(0, left)))))
    left -= part.length
  })
}
