/**
 * Content through a program that packs or unpacks it.
 */
import { spawn } from 'node:child_process'
import { MOST_SEGMENT_BYTES } from '../../postgres/segment-name.ts'
import { gatherComplaint, gatherOutput } from '../../util/gather-output.ts'

const PROGRAM_TIMEOUT_MS = 120_000
/** What a program complains of is told up to here. */
const COMPLAINT_CHARACTERS = 1000

/** What a program prints when it is given `content`. */
export async function pipeThrough(
  [program = '', ...words]: readonly string[],
  content: Buffer,
  mostBytes = MOST_SEGMENT_BYTES,
): Promise<Buffer> {
  const child = spawn(program, words, {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: PROGRAM_TIMEOUT_MS,
  })
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const output = gatherOutput(child, mostBytes, () => {
    reject(new Error(`${program} printed more than ${mostBytes} bytes`))
  })
  const complaint = gatherComplaint(child.stderr, COMPLAINT_CHARACTERS)
  child.on('error', reject)
  child.stdin.on('error', () => {})
  child.on('close', (code, signal) => {
    if (code === 0) resolve(output())
    else reject(new Error(`${program} ended with ${signal ?? code}: ${complaint().trim()}`))
  })
  child.stdin.end(content)
  return await promise
}
