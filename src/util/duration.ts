/**
 * Durations as people write them (`90s`, `15m`, `14d`) and as milliseconds.
 */
const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/**
 * Parses `250ms`, `90s`, `15m`, `15min`, `2h`, `14d` or `2w` to milliseconds; undefined when it is
 * none of them.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)\s*$/.exec(text)
  const unit = UNITS_MS[match?.[2] ?? '']
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit
}

/** Formats milliseconds for a person: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function formatDuration(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  return whole < 60 ? `${whole} s` : pair(whole)
}

function pair(seconds: number): string {
  if (seconds < 3600) return join([Math.floor(seconds / 60), 'min'], [seconds % 60, 's'])
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1440) return join([Math.floor(minutes / 60), 'h'], [minutes % 60, 'min'])
  const hours = Math.floor(minutes / 60)
  return join([Math.floor(hours / 24), 'd'], [hours % 24, 'h'])
}

function join(...parts: [number, string][]): string {
  return parts
    .filter(([value], index) => index === 0 || value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ')
}
