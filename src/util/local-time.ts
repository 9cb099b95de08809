/**
 * Moments for people: one form everywhere, in the zone of who reads, with its offset, as PostgreSQL
 * reads and writes them.
 */

/**
 * `2026-11-22 10:45:45+02`, the offset with minutes where it has some. `zoneMinutes`: east of UTC;
 * default this process's zone then.
 */
export function spellTime(epochMs: number, zoneMinutes = zoneAt(epochMs)): string {
  const seconds = new Date(epochMs + zoneMinutes * 60_000).toISOString().slice(0, 19)
  return `${seconds.replace('T', ' ')}${spellZone(zoneMinutes)}`
}

/** The same of an ISO 8601 moment; the text itself when it is none. */
export function spellIsoTime(iso: string): string {
  const epochMs = Date.parse(iso)
  return Number.isNaN(epochMs) ? iso : spellTime(epochMs)
}

/** The same with the microseconds, when there are any. */
export function spellTimeUs(timeUs: bigint, zoneMinutes = zoneAt(Number(timeUs / 1000n))): string {
  const fraction = ((timeUs % 1_000_000n) + 1_000_000n) % 1_000_000n
  const text = spellTime(Number((timeUs - fraction) / 1000n), zoneMinutes)
  if (fraction === 0n) return text
  const digits = String(fraction).padStart(6, '0')
  return `${text.slice(0, 19)}.${digits}${text.slice(19)}`
}

function zoneAt(epochMs: number): number {
  return -new Date(epochMs).getTimezoneOffset()
}

function spellZone(minutes: number): string {
  const size = Math.abs(minutes)
  const hours = String(Math.floor(size / 60)).padStart(2, '0')
  const rest = size % 60 === 0 ? '' : `:${String(size % 60).padStart(2, '0')}`
  return `${minutes < 0 ? '-' : '+'}${hours}${rest}`
}
