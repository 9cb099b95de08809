/**
 * Sizes as people write them (`64MiB`, `1GB`, `512kB`) and as bytes.
 */
const POWERS: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 }
const NAMES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/**
 * Parses a size to bytes; undefined when it is none. Units are powers of 1024 as in PostgreSQL,
 * in either spelling (`MB` and `MiB` mean the same); a bare number is bytes.
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text.trim())
  const power = POWERS[(match?.[2] ?? '').toLowerCase()]
  return match === null || power === undefined
    ? undefined
    : Math.round(Number(match[1]) * 1024 ** power)
}

/**
 * Formats bytes for a person with PostgreSQL's units (powers of 1024): `0 B`, `36.8 MB`, `2.9 GB`.
 */
export function formatSize(bytes: number): string {
  let value = bytes
  let power = 0
  while (Math.round(Math.abs(value)) >= 1024 && power < NAMES.length - 1) {
    value /= 1024
    power += 1
  }
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${NAMES[power] ?? 'B'}`
}
