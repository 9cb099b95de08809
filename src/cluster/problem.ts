/**
 * Something that stands between the cluster as found and as wanted, and that Backstay must not or
 * cannot settle itself.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { redact } from '../errors/redact.ts'
import { ERROR_KINDS, type ErrorCode } from '../errors/codes.ts'
import type { FoundError } from './found.ts'

/**
 * A finding. An `error` stops `up` before it changes anything; a `warning` leaves out one server or
 * one repair.
 */
export interface Problem {
  readonly severity: 'error' | 'warning'
  readonly code: ErrorCode
  readonly server: string | undefined
  readonly message: string
  readonly hint: string
}

/** What a problem says. */
export interface ProblemText {
  readonly code: ErrorCode
  readonly message: string
  /** Default: the catalogue's remedy. */
  readonly hint?: string
}

/** A problem that stops everything. Lines of files that it quotes lose their secrets. */
export function blocker(server: string | undefined, text: ProblemText): Problem {
  const { code, message, hint = ERROR_KINDS[code].remedy } = text
  return { severity: 'error', server, code, hint: redact(hint), message: redact(message) }
}

/** A problem that leaves the rest of the plan possible. */
export function warning(server: string | undefined, text: ProblemText): Problem {
  return { ...blocker(server, text), severity: 'warning' }
}

/** A failure met while looking, as a problem. */
export function problemOf(server: string, error: FoundError): Problem {
  return blocker(server, error)
}

/** The first of several problems as the error to throw; the others stand in its details. */
export function errorOf(problems: readonly Problem[]): BackstayError {
  const [first, ...others] = problems
  if (first === undefined) throw new BackstayError('BUG', 'Cannot make an error of no problem')
  const more = others.map((problem) => `\n  also: ${problem.message}`).join('')
  return new BackstayError(first.code, `${first.message}${more}`, {
    hint: first.hint,
    details: { problems },
  })
}
