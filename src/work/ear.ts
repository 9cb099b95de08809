/**
 * How a verb is listened to, and ended.
 */

/** Given to every verb that takes a while. */
export interface Ear<Event> {
  /** Ends the verb in order; it then throws the signal's reason. */
  readonly signal: AbortSignal
  /** Told of what happens. Must return at once and not throw. */
  readonly on: (event: Event) => void
}
