/**
 * From the words of a command line to the values of options: whole numbers, sizes, durations,
 * choices, lists.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatDuration, parseDuration } from '../util/duration.ts'
import { nearest } from '../util/nearest.ts'
import { formatSize, parseSize } from '../util/size.ts'
import { type NumberOption, optionFlag, type OptionSpec, type OptionSpecs } from './option-spec.ts'

/** What the parser found: option name → true, the word given, or the words in order for a list. */
export type RawOptions = Readonly<Record<string, unknown>>

/** Values of all options of a command, defaults included. @throws USAGE */
export function optionValues(
  specs: OptionSpecs,
  raw: RawOptions,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, optionValue(name, spec, raw[name])]),
  )
}

function optionValue(name: string, spec: OptionSpec, raw: unknown): unknown {
  if (spec.type === 'flag') return raw === true
  if (spec.type === 'list') return splitList(raw)
  if (typeof raw !== 'string') return spec.default
  if (spec.type === 'string') return raw
  return spec.type === 'choice'
    ? readChoice(optionFlag(name), spec.choices, raw)
    : readNumber(optionFlag(name), spec, raw)
}

function splitList(raw: unknown): readonly string[] {
  const words = Array.isArray(raw) ? (raw as readonly string[]) : []
  // A backslash takes a comma, and itself, literally; what else it means is for the option to say.
  return words
    .flatMap((word) => word.match(/(?:\\[\s\S]|[^,\\]|\\$)+/g) ?? [])
    .map((word) => word.replaceAll(String.raw`\,`, ','))
}

/** The word when it is one of `choices`. @throws USAGE naming the option or argument */
export function readChoice(name: string, choices: readonly string[], raw: string): string {
  if (choices.includes(raw)) return raw
  const near = nearest(raw, choices)
  const question = near === undefined ? '' : ` (did you mean "${near}"?)`
  throw usage(name, `"${raw}" is none of ${choices.join(', ')}${question}`)
}

function readNumber(flag: string, spec: NumberOption, raw: string): number {
  const value = PARSE[spec.type](raw)
  if (value === undefined) throw usage(flag, `"${raw}" is not ${WANTED[spec.type]}`)
  const show = (bound: number) => SHOW[spec.type](bound)
  if (spec.min !== undefined && value < spec.min) {
    throw usage(flag, `"${raw}" is less than ${show(spec.min)}`)
  }
  if (spec.max !== undefined && value > spec.max) {
    throw usage(flag, `"${raw}" is more than ${show(spec.max)}`)
  }
  return value
}

const PARSE = { int: parseWhole, size: parseSize, duration: parseDuration } as const
const SHOW = { int: String, size: formatSize, duration: formatDuration } as const
const WANTED = {
  int: 'a whole number',
  size: 'a size such as 64MB',
  duration: 'a duration such as 15m',
} as const

function parseWhole(text: string): number | undefined {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined
}

function usage(flag: string, fault: string): BackstayError {
  return new BackstayError('USAGE', `Cannot read ${flag}: ${fault}`)
}

/** The default as --help shows it; undefined when there is none to show. */
export function shownDefault(spec: OptionSpec): string | undefined {
  if (spec.type === 'flag' || spec.type === 'list' || spec.default === undefined) return undefined
  return spec.type === 'string' || spec.type === 'choice'
    ? spec.default
    : SHOW[spec.type](spec.default)
}
