/**
 * Moments with PostgreSQL's precision: microseconds since 1970 in a bigint, and as text.
 */

const PATTERN =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?$/i

/**
 * Reads `2026-11-22 10:00:00.123456+02`, with `T`, `Z`, `UTC`, without seconds or without a time of
 * day. Without a zone it is the local time of this machine. Undefined when it is no such moment.
 */
export function parseTimeUs(text: string): bigint | undefined {
  const match = PATTERN.exec(text.trim())
  if (match === null) return undefined
  const [, date, minutes = '00:00', seconds = '00', fraction = '', zone = ''] = match
  const epochMs = Date.parse(`${date}T${minutes}:${seconds}${isoZone(zone)}`)
  if (Number.isNaN(epochMs) || !isSameDay(date ?? '')) return undefined
  return BigInt(epochMs) * 1000n + BigInt(fraction.padEnd(6, '0').slice(0, 6))
}

/** Whether the text names its zone, so that it means the same everywhere. */
export function hasZone(text: string): boolean {
  return (PATTERN.exec(text.trim())?.[5] ?? '') !== ''
}

/**
 * Writes a moment as PostgreSQL reads it: `2026-11-22 10:00:00.123456+00`, the fraction only when
 * there is one.
 */
export function formatTimeUs(timeUs: bigint): string {
  const fraction = ((timeUs % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = new Date(Number((timeUs - fraction) / 1000n)).toISOString().slice(0, 19)
  const digits = fraction === 0n ? '' : `.${String(fraction).padStart(6, '0')}`
  return `${seconds.replace('T', ' ')}${digits}+00`
}

/** The moment as ISO 8601 UTC for JSON, with microseconds when there are any. */
export function isoTimeUs(timeUs: bigint): string {
  return formatTimeUs(timeUs).replace(' ', 'T').replace('+00', 'Z')
}

function isoZone(zone: string): string {
  if (zone === '') return ''
  if (/^[a-z]/i.test(zone)) return 'Z'
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0')
  return `${zone.slice(0, 1)}${digits.slice(0, 2)}:${digits.slice(2)}`
}

/** Date.parse moves the 31st of a short month into the next one; such a date is a mistake. */
function isSameDay(date: string): boolean {
  const parsed = Date.parse(`${date}T00:00:00Z`)
  return !Number.isNaN(parsed) && new Date(parsed).toISOString().startsWith(date)
}
