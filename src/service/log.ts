/**
 * The service's log: one JSON object a line on standard error, for journald and log collectors.
 * Secrets are taken out here.
 */
import { pino } from 'pino'
import { BackstayError } from '../errors/backstay-error.ts'
import { printable } from '../errors/printable.ts'
import { firstErrorOf } from '../errors/first-error.ts'
import { redact } from '../errors/redact.ts'

const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const

/** How much is logged. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Facts that go with a line: camelCase keys, units last. */
export type LogFacts = Readonly<Record<string, unknown>>

/** Where the service writes what happens. */
export interface ServiceLog {
  debug(facts: LogFacts, message: string): void
  info(facts: LogFacts, message: string): void
  warn(facts: LogFacts, message: string): void
  error(facts: LogFacts, message: string): void
}

/**
 * The log on standard error. Lines are written at once, so the last words of a dying process are
 * not lost.
 */
export function openServiceLog(level: LogLevel = 'info'): ServiceLog {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  )
  const at =
    (name: LogLevel) =>
    (facts: LogFacts, message: string): void =>
      logger[name](redactFacts(facts), printable(redact(message)))
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** An error as facts for a log line. */
export function errorFacts(thrown: unknown): LogFacts {
  const error = firstErrorOf(thrown)
  if (!(error instanceof BackstayError)) {
    return { code: 'BUG', error: error instanceof Error ? (error.stack ?? '') : String(error) }
  }
  return { code: error.code, error: error.message, hint: error.hint }
}

function redactFacts(facts: LogFacts): LogFacts {
  return Object.fromEntries(
    Object.entries(facts).map(([key, value]) => [
      key,
      typeof value === 'string' ? printable(redact(value)) : value,
    ]),
  )
}
