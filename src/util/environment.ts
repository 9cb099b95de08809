/**
 * Environment variables as a value: main reads them once, nothing else does.
 */

/** Name → value; the only way they reach a command. */
export type Environment = Readonly<Record<string, string | undefined>>
