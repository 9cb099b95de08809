/**
 * The kinds of values a cluster file has beyond YAML's own: names, sizes, durations, paths, cron
 * expressions. Each is a zod schema that explains itself when the value is none.
 */
import { Cron } from 'croner'
import { z } from 'zod'
import { parseDuration } from '../util/duration.ts'
import { parseSize } from '../util/size.ts'

/** Text that is not empty and has no line break. */
export const Line = z.string().regex(/^[^\r\n\0]+$/, 'must be one line of text that is not empty')

/**
 * Name or address of a machine: it becomes a word of ssh's command line, of conninfo and of
 * pg_hba.conf, and may say nothing else there. IPv6 with its zone, too; names of ssh's
 * configuration as a rule have no other letters.
 */
export const Address = z
  .string()
  .max(255, 'must have at most 255 letters')
  .regex(
    /^[A-Za-z0-9_:](?:[A-Za-z0-9_.:%-]*[A-Za-z0-9_:.])?$/,
    'must be the name or address of a machine: letters, digits, ".", "-", "_" and ":" only',
  )

/**
 * What a name of a cluster or server may be: it becomes part of slot names, directories and
 * application_name.
 */
export const NAME_PATTERN = /^[a-z][a-z0-9_-]{0,39}$/

/** What is wrong with a name that does not match. */
export const NAME_RULE =
  'must start with a small letter and have at most 40 small letters, digits, "-" or "_"'

/** The name of a cluster or server. */
export const Name = z.string().regex(NAME_PATTERN, NAME_RULE)

/** A role or slot name as PostgreSQL takes it without quotes. */
export const Identifier = z
  .string()
  .regex(
    /^[a-z_][a-z0-9_]{0,62}$/,
    'must have at most 63 small letters, digits or "_" and not start with a digit',
  )

/** A file system path; what it is relative to is decided in settings.ts. */
export const Path = Line.refine((path) => !path.startsWith('~'), {
  error: '"~" is not expanded: write the path in full',
})

/** A TCP port a server can listen on: 1 to 65535. */
export const Port = z
  .int({ error: 'must be a port number' })
  .min(1, 'must be between 1 and 65535')
  .max(65535, 'must be between 1 and 65535')

/** A size such as `64MB`; a bare number is bytes. */
export const Size = z
  .union([z.string(), z.number()], { error: 'must be a size such as "64MB"' })
  .meta({ typeText: 'size' })
  .transform((value, context) => {
    const bytes = parseSize(String(value))
    if (bytes !== undefined) return bytes
    context.issues.push({
      code: 'custom',
      input: value,
      message: `"${value}" is not a size: write a number with kB, MB, GB or TB, such as "64MB"`,
    })
    return z.NEVER
  })

/** The size of a WAL segment, as initdb takes it. */
export const SegmentSize = Size.refine(
  (bytes) => Number.isInteger(Math.log2(bytes)) && bytes >= 2 ** 20 && bytes <= 2 ** 30,
  { error: 'must be a power of two from 1MB to 1GB' },
)

/** A duration such as `14d`; always with its unit. */
export const Duration = z
  .string({ error: 'must be a duration with its unit, such as "14d"' })
  .meta({ typeText: 'duration' })
  .transform((value, context) => {
    const ms = parseDuration(value)
    if (ms !== undefined) return ms
    context.issues.push({
      code: 'custom',
      input: value,
      message: `"${value}" is not a duration: write a number with s, m, h, d or w, such as "14d"`,
    })
    return z.NEVER
  })

/** A cron expression of five fields (or `@daily` and its like). */
export const CronExpression = z
  .string()
  .superRefine((value, context) => {
    const reason = cronFault(value)
    if (reason !== undefined) {
      const message = `"${value}" is not a cron expression: ${reason}`
      context.addIssue({ code: 'custom', message })
    }
  })
  .meta({ typeText: 'cron expression' })

function cronFault(expression: string): string | undefined {
  const fields = expression.trim().split(/\s+/).length
  if (fields !== 5 && !expression.startsWith('@')) {
    return `it has ${fields} fields, wanted are 5 (minute hour day month weekday)`
  }
  try {
    const next = new Cron(expression, { paused: true }).nextRun()
    return next === null ? 'that moment never comes' : undefined
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error)
  }
}

/** A setting of postgresql.conf: YAML's numbers and booleans become the text PostgreSQL reads. */
const ParameterValue = z
  .union([z.string(), z.number(), z.boolean()], {
    error: 'must be text, a number, true or false',
  })
  .transform((value) => (typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value)))
  .refine((value) => !/[\r\n\0]/.test(value), { error: 'must be one line of text' })

/** A map of settings. */
export const Parameters = z.record(z.string(), ParameterValue)
