/**
 * The ssh command a client runs, and how its end becomes the client's exit code.
 */
import { spawn } from 'node:child_process'

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
  readonly stderr: string
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

/**
 * Runs a command with `input` on its standard input and gathers its output; standard error is passed on.
 * @throws the errno error when the program cannot be started.
 */
export async function runSsh(
  [program = '', ...words]: readonly string[],
  input: Buffer,
): Promise<SshResult> {
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] })
  const { promise, resolve, reject } = Promise.withResolvers<SshResult>()
  const parts: Buffer[] = []
  let stderr = ''
  child.on('error', reject)
  // A remote command that ends early closes the pipe: its exit code says more than our EPIPE.
  child.stdin.on('error', () => {})
  child.stdout.on('data', (part: Buffer) => parts.push(part))
  child.stderr.on('data', (part: Buffer) => {
    stderr += part.toString()
    process.stderr.write(part)
  })
  child.on('close', (code) => {
    resolve({ exitCode: code ?? SSH_FAILED, stdout: Buffer.concat(parts), stderr })
  })
  child.stdin.end(input)
  return await promise
}
