/**
 * The one error class. Everything that an operator can meet is one of these; anything else is a
 * bug.
 */
import { ERROR_KINDS, type ErrorCode, type ErrorKind } from './codes.ts'

/** What an error carries besides its text. */
export interface ErrorOptions {
  /** What to do, as an order or a question. Falls back to the catalogue's remedy. */
  readonly hint?: string
  /** Machine-readable facts for `--json`; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/**
 * A failure with a stable code. The message says the action that failed, on what, and the value
 * found («Cannot clone "db2": directory "/data" is not empty»), without a full stop.
 */
export class BackstayError extends Error {
  readonly code: ErrorCode
  readonly hint: string
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'BackstayError'
    this.code = code
    this.hint = options.hint ?? ERROR_KINDS[code].remedy
    this.details = options.details ?? {}
  }

  get exitCode(): number {
    return ERROR_KINDS[this.code].exitCode
  }

  /** Whether the same call can succeed later without anybody acting. */
  get retryable(): boolean {
    const kind: ErrorKind = ERROR_KINDS[this.code]
    return kind.retryable === true
  }
}

/** Whether `error` is a BackstayError, of `code` when given. */
export function isBackstayError(error: unknown, code?: ErrorCode): error is BackstayError {
  return error instanceof BackstayError && (code === undefined || error.code === code)
}
