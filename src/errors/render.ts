/**
 * Errors as text for people and as JSON for programs. The only place that turns an error into
 * output.
 */
import { BackstayError } from './backstay-error.ts'
import { ERROR_KINDS, type ErrorCode } from './codes.ts'
import { printable } from './printable.ts'
import { firstErrorOf } from './first-error.ts'
import { isSecretName, redact } from './redact.ts'

/** The object printed on stderr with `--json`. */
export interface RenderedError {
  readonly error: {
    readonly code: string
    readonly message: string
    readonly hint: string
    readonly details: Readonly<Record<string, unknown>>
  }
}

/** The exit code a process ends with for what was thrown. Unknown errors are bugs (70). */
export function exitCodeOf(thrown: unknown): number {
  const error = firstErrorOf(thrown)
  return error instanceof BackstayError ? error.exitCode : 70
}

/** The error for a person: message, causes, hint; redacted. A bug comes with its stack. */
export function renderErrorText(thrown: unknown): string {
  const error = firstErrorOf(thrown)
  if (!(error instanceof BackstayError)) return printable(redact(renderBug(error)))
  const causes = causesOf(error).map((cause) => `  because: ${cause}\n`)
  return printable(redact(`Error: ${error.message}\n${causes.join('')}Hint: ${error.hint}\n`))
}

/** The error for a program; every string redacted. */
export function renderErrorJson(thrown: unknown): RenderedError {
  const error = firstErrorOf(thrown)
  const known = error instanceof BackstayError ? error : new BackstayError('BUG', String(error))
  const { code, message, hint, details } = known
  return JSON.parse(
    redactJson({ error: { code, message, hint, details: { ...details, ...withCauses(known) } } }),
  ) as RenderedError
}

/**
 * The error that a Backstay elsewhere rendered as JSON, which is the last such line of `stderr`;
 * undefined when there is none.
 */
export function readErrorJson(stderr: string): BackstayError | undefined {
  const line = stderr.split('\n').findLast((text) => text.startsWith('{"error":'))
  if (line === undefined) return undefined
  try {
    const { code, message, hint, details } = (JSON.parse(line) as RenderedError).error
    const isError = Object.hasOwn(ERROR_KINDS, code) && isText(message) && isText(hint)
    return isError
      ? new BackstayError(code as ErrorCode, message, { hint, details: { ...Object(details) } })
      : undefined
  } catch {
    return undefined
  }
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function withCauses(error: BackstayError): { causes?: string[] } {
  const causes = causesOf(error)
  return causes.length === 0 ? {} : { causes }
}

function causesOf(error: Error): string[] {
  const texts: string[] = []
  for (let cause = error.cause; cause instanceof Error && texts.length < 5; cause = cause.cause) {
    if (!error.message.includes(cause.message)) texts.push(cause.message)
  }
  return texts
}

function renderBug(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return `Error: This is a bug in Backstay: please report it with this text\n${stack}\n`
}

function redactJson(value: unknown): string {
  return JSON.stringify(value, (key, item: unknown) => {
    if (typeof item === 'string') return isSecretName(key) ? '***' : redact(item)
    return typeof item === 'bigint' ? item.toString() : item
  })
}
