/**
 * What a child process prints, gathered to a limit: whoever is behind it cannot fill the memory.
 */
import type { ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

/** A child whose output is piped to this process. */
type PipedChild = ChildProcessByStdio<Writable | null, Readable, Readable>

/**
 * Gathers the standard output of `child`. One that prints more than `mostBytes` is killed, and its
 * pipes are given up: what it has started may hold them as well, and nobody is waited for.
 * @param onTooMuch called once then.
 * @returns what came so far; ask when the child has ended.
 */
export function gatherOutput(
  child: PipedChild,
  mostBytes: number,
  onTooMuch: () => void,
): () => Buffer {
  const parts: Buffer[] = []
  let bytes = 0
  child.stdout.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes <= mostBytes) {
      parts.push(part)
      return
    }
    child.kill('SIGKILL')
    for (const pipe of [child.stdout, child.stderr]) pipe.destroy()
    onTooMuch()
  })
  return () => Buffer.concat(parts)
}

/** The first characters of what a child says on standard error; ask when it has ended. */
export function gatherComplaint(stderr: Readable, mostCharacters: number): () => string {
  let said = ''
  stderr.on('data', (part: Buffer) => {
    said = (said + part.toString()).slice(0, mostCharacters)
  })
  return () => said
}
