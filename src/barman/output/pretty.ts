/**
 * Sizes, times and spans in Barman's words, which scripts parse.
 */
const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB']
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const SPANS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** `0 B`, `32.2 KiB`, `22.1 MiB`. */
export function prettySize(bytes: number): string {
  let value = bytes
  let unit: string | undefined
  for (const next of UNITS) {
    if (Math.abs(value) < 1024) break
    value /= 1024
    unit = next
  }
  return unit === undefined ? `${Math.trunc(value)} B` : `${value.toFixed(1)} ${unit}`
}

/** `3 seconds`, `1 day, 2 hours`, `less than one second`. */
export function prettySpan(ms: number): string {
  let rest = Math.floor(ms / 1000)
  const parts: string[] = []
  for (const [name, seconds] of SPANS) {
    const count = Math.floor(rest / seconds)
    rest -= count * seconds
    if (count > 0) parts.push(`${count} ${name}${count === 1 ? '' : 's'}`)
  }
  return parts.length === 0 ? 'less than one second' : parts.join(', ')
}

/** `Sun Nov 22 07:24:49 2026`, local time. */
export function ctime(epochMs: number): string {
  const at = new Date(epochMs)
  const day = String(at.getDate()).padStart(2)
  return `${DAYS[at.getDay()]} ${MONTHS[at.getMonth()]} ${day} ${clockOf(at)} ${at.getFullYear()}`
}

/** `2026-11-22 07:24:45.974000+00:00`, local time with its offset. */
export function isoTime(epochMs: number): string {
  const offset = -new Date(epochMs).getTimezoneOffset()
  const sign = offset < 0 ? '-' : '+'
  const zone = `${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`
  return `${plainTime(epochMs)}${zone}`
}

/** `2026-11-22 07:24:45.974000`, local time. */
export function plainTime(epochMs: number): string {
  const at = new Date(epochMs)
  const fraction = String(at.getMilliseconds()).padStart(3, '0')
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${date} ${clockOf(at)}.${fraction}000`
}

function clockOf(at: Date): string {
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
