/**
 * From the text of an option to its value: booleans, whole numbers, intervals, sizes, retention
 * policies, lists, words. Every reader returns undefined for text that is none.
 */

const DAY_MS = 86_400_000
/** Barman's month has 31 days. */
const INTERVAL_MS: Readonly<Record<string, number>> = {
  hour: 3_600_000,
  day: DAY_MS,
  week: 7 * DAY_MS,
  month: 31 * DAY_MS,
}

const SIZE_FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  Ki: 1024,
  M: 1e6,
  Mi: 1024 ** 2,
  G: 1e9,
  Gi: 1024 ** 3,
  T: 1e12,
  Ti: 1024 ** 4,
}

/** A span as it is configured. */
export interface Interval {
  readonly count: number
  readonly unit: 'hour' | 'day' | 'week' | 'month'
  readonly ms: number
}

/** How long backups stay. */
export type RetentionRule =
  | { readonly kind: 'redundancy'; readonly count: number; readonly text: string }
  | { readonly kind: 'window'; readonly ms: number; readonly text: string }

/** `on`, `true`, `t`, `yes`, `1` and their opposites, in any case. */
export function parseBoolean(text: string): boolean | undefined {
  if (/^(?:true|t|yes|1|on)$/i.test(text)) return true
  return /^(?:false|f|no|0|off)$/i.test(text) ? false : undefined
}

/** A whole number from 0. */
export function parseWhole(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** A whole number that may be below 0. */
export function parseInteger(text: string): number | undefined {
  return /^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** `4 DAYS`, `1 week`, `12 hours`, `2 months`. */
export function parseInterval(text: string): Interval | undefined {
  const match = /^\s*(\d+)\s+(day|month|week|hour)s?\s*$/i.exec(text)
  const unit = match?.[2]?.toLowerCase() as Interval['unit'] | undefined
  if (unit === undefined) return undefined
  const count = Number(match?.[1])
  return { count, unit, ms: count * (INTERVAL_MS[unit] ?? 0) }
}

/** `100k`, `2Gi`, `5000`: thousands without i, powers of 1024 with it. */
export function parseAmount(text: string): number | undefined {
  const match = /^\s*(\d+)\s*(k|Ki|M|Mi|G|Gi|T|Ti)?\s*$/.exec(text)
  const factor = SIZE_FACTORS[match?.[2] ?? '']
  return match === null || factor === undefined ? undefined : Number(match[1]) * factor
}

/** `REDUNDANCY 2`, `RECOVERY WINDOW OF 7 DAYS`. */
export function parseRetention(text: string): RetentionRule | undefined {
  const redundancy = /^\s*redundancy\s+(\d+)\s*$/i.exec(text)
  if (redundancy !== null && Number(redundancy[1]) > 0) {
    const count = Number(redundancy[1])
    return { kind: 'redundancy', count, text: `REDUNDANCY ${count}` }
  }
  const window = /^\s*recovery\s+window\s+of\s+(\d+\s+(?:day|week|month)s?)\s*$/i.exec(text)
  const span = parseInterval(window?.[1] ?? '')
  if (span === undefined) return undefined
  const words = `${span.count} ${span.unit.toUpperCase()}S`
  return { kind: 'window', ms: span.ms, text: `RECOVERY WINDOW OF ${words}` }
}

/** The words of a list separated by commas. */
export function parseList(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}

/** Takes off quotes that stand around the whole value. */
export function unquote(text: string): string {
  const match = /^(["'])(.*)\1$/s.exec(text)
  return match === null ? text : (match[2] ?? '')
}
