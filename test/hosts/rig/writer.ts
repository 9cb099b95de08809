/**
 * A client of the three hosts: a program on the operator's side that writes to whichever server is the primary and knows what
 * was acknowledged (writer-child.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** The program. */
export const WRITER = join(import.meta.dirname, 'writer-child.ts')

/** What it has seen. */
export interface WriterReport {
  /** Rows acknowledged since it began. */
  readonly count: number
  /** Between two acknowledged rows, since `measure`. */
  readonly longestSilenceMs: number
}

/** One writer; it ends with `rows`, or when it is disposed. */
export class HostWriter implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>
  readonly #closed: Promise<unknown>

  constructor([program = '', ...words]: readonly string[]) {
    this.#child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] })
    const { stdout } = this.#child
    if (stdout === null) throw new Error('the writer has no standard output')
    this.#answers = createInterface({ input: stdout })[Symbol.asyncIterator]()
    this.#closed = new Promise((resolve) => this.#child.once('close', resolve))
  }

  /** Asks. */
  async report(): Promise<WriterReport> {
    return (await this.#ask('report')) as WriterReport
  }

  /** Asks, and has it measure the silence anew. */
  async measure(): Promise<WriterReport> {
    return (await this.#ask('measure')) as WriterReport
  }

  /** Stops it. @returns every row whose INSERT was acknowledged. */
  async rows(): Promise<readonly string[]> {
    return (await this.#ask('rows')) as readonly string[]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end()
    this.#child.kill('SIGKILL')
    await this.#closed
  }

  async #ask(question: string): Promise<unknown> {
    this.#child.stdin?.write(`${question}\n`)
    const { value, done } = await this.#answers.next()
    if (done === true) throw new Error('the writer has ended')
    return JSON.parse(value)
  }
}
