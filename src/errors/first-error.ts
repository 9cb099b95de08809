/**
 * What went wrong first. Where what was open cannot be closed afterwards either, as on a disk that
 * fails, the language throws both in one error that says nothing of the two.
 */

/** The error behind any number of failures to close; any other as it is. */
export function firstErrorOf(error: unknown): unknown {
  let reason = error
  while (reason instanceof SuppressedError) reason = reason.suppressed
  return reason
}
