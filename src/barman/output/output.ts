/**
 * Everything a command says: console lines as they come, or one JSON object at the end; and the
 * exit code.
 */
import { printable } from '../../errors/printable.ts'
import { redact } from '../../errors/redact.ts'
import type { BarmanLog, BarmanLogLevel } from './log-file.ts'
import { type Json, renderPythonJson } from './python-json.ts'

/** How and where to. */
export interface OutputOptions {
  readonly format: 'console' | 'json'
  readonly isQuiet: boolean
  /** Colours for warnings and errors. */
  readonly isColoured: boolean
  readonly stdout: { write(text: string): unknown }
  readonly stderr: { write(text: string): unknown }
  readonly log: BarmanLog
}

const YELLOW = '\u001b[33m'
const RED = '\u001b[31m'
const RESET = '\u001b[0m'

/** The output of one command. */
export class BarmanOutput {
  /** What the process ends with. */
  exitCode = 0
  readonly #options: OutputOptions
  readonly #messages = new Map<string, string[]>()
  readonly #data: Record<string, Json> = {}

  constructor(options: OutputOptions) {
    this.#options = options
  }

  get isJson(): boolean {
    return this.#options.format === 'json'
  }

  /** A line for people; left out with --quiet. */
  info(text: string): void {
    this.#say('INFO', text)
  }

  warning(text: string): void {
    this.#say('WARNING', text)
  }

  /** The command has failed, with exit code 1 unless another is set. */
  error(text: string): void {
    if (this.exitCode === 0) this.exitCode = 1
    this.#say('ERROR', text)
  }

  /** Something nobody foresaw, or a broken stream. */
  exception(text: string): void {
    if (this.exitCode === 0) this.exitCode = 1
    this.#say('EXCEPTION', text)
  }

  /** Lines that are the result; not in JSON. */
  lines(...lines: readonly string[]): void {
    if (this.isJson || this.#options.isQuiet) return
    this.#options.stdout.write(lines.map((line) => `${printable(redact(line))}\n`).join(''))
  }

  /** Part of the JSON object; not on the console. */
  data(key: string, value: Json): void {
    this.#data[key] = value
  }

  /** Prints the JSON object. Call once, at the end. */
  finish(): void {
    if (!this.isJson) return
    const messages = [...this.#messages].map(([kind, texts]): [string, Json] => [`_${kind}`, texts])
    const all = { ...Object.fromEntries(messages), ...this.#data }
    this.#options.stdout.write(renderPythonJson(redactValues(all)))
  }

  #say(kind: 'INFO' | 'WARNING' | 'ERROR' | 'EXCEPTION', text: string): void {
    const level: BarmanLogLevel = kind === 'EXCEPTION' ? 'CRITICAL' : kind
    this.#options.log.write(level, text)
    if (this.isJson) {
      this.#messages.set(kind, [...(this.#messages.get(kind) ?? []), redact(text)])
      return
    }
    if (kind !== 'INFO') this.#options.stderr.write(this.#prefixed(kind, printable(redact(text))))
    else if (!this.#options.isQuiet) this.#options.stdout.write(`${printable(redact(text))}\n`)
  }

  #prefixed(kind: string, text: string): string {
    const line = `${kind}: ${text}`
    if (!this.#options.isColoured) return `${line}\n`
    return `${kind === 'WARNING' ? YELLOW : RED}${line}${RESET}\n`
  }
}

/** Without the passwords of connection strings, which Barman's own JSON shows. */
function redactValues(value: Json): Json {
  if (typeof value === 'string') return redact(value)
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => redactValues(item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value as Readonly<Record<string, Json>>).map(([key, item]) => [
      key,
      redactValues(item),
    ]),
  )
}
