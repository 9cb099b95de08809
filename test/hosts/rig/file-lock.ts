/**
 * A lock that processes of this machine agree on (flock, on a file or a directory). It goes with the process that holds it, however
 * that ends.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'

/** How a lock is wanted, and how long it is waited for; not at all with 0. */
export interface LockOptions {
  readonly mode: 'shared' | 'exclusive'
  readonly timeoutSeconds: number
}

/** A lock that is held until it is disposed. */
export class FileLock implements Disposable {
  readonly #descriptor: number

  private constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  /** Takes the lock on what lies at `path`; undefined when another process had it for all that time. */
  static async take(path: string, options: LockOptions): Promise<FileLock | undefined> {
    const { mode, timeoutSeconds } = options
    const lock = new FileLock(openSync(path, 'r'))
    // The lock is the opened file's, which the program shares with us: it stays when the program has ended.
    const words = [`--${mode}`, '--wait', String(timeoutSeconds), '3']
    const child = spawn('flock', words, { stdio: ['ignore', 'ignore', 'ignore', lock.#descriptor] })
    const [code] = (await once(child, 'close')) as [number | null]
    if (code === 0) return lock
    lock[Symbol.dispose]()
    return undefined
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor)
  }
}
