/**
 * Content through a program that packs or unpacks it.
 */
import { spawn } from 'node:child_process'

/** A segment has 1 GiB at most: what unpacks to more is no WAL. */
const MOST_BYTES = 1024 ** 3
const PROGRAM_TIMEOUT_MS = 120_000

/** What a program prints when it is given `content`. */
export async function pipeThrough(
  [program = '', ...words]: readonly string[],
  content: Buffer,
): Promise<Buffer> {
  const child = spawn(program, words, {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: PROGRAM_TIMEOUT_MS,
  })
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const parts: Buffer[] = []
  let [bytes, complaint] = [0, '']
  child.on('error', reject)
  child.stdout.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes > MOST_BYTES) child.kill('SIGKILL')
    else parts.push(part)
  })
  child.stderr.on('data', (part: Buffer) => {
    if (complaint.length < 1000) complaint += part.toString()
  })
  child.stdin.on('error', () => {})
  child.on('close', (code, signal) => {
    if (code === 0) resolve(Buffer.concat(parts))
    else reject(new Error(`${program} ended with ${signal ?? code}: ${complaint.trim()}`))
  })
  child.stdin.end(content)
  return await promise
}
