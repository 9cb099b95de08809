/**
 * Whether two spellings of a setting's value mean the same to PostgreSQL: `128MB` = `131072kB` =
 * `16384` in 8kB pages. Source: PostgreSQL src/backend/utils/misc/guc.c (parse_int, parse_real,
 * convert_to_base_unit), utils/adt/bool.c.
 */

/** A setting's type, in the words of `pg_settings.vartype` and `pg_settings.unit`. */
export interface SettingType {
  readonly vartype: string
  /** `kB`, `8kB`, `MB`, `B`, `ms`, `s`, `min`, or null/undefined for none. */
  readonly unit?: string | null | undefined
}

const MEMORY_BYTES = {
  B: 1,
  kB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
} as const

const TIME_US = {
  us: 1,
  ms: 1000,
  s: 1_000_000,
  min: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
} as const

/** Characters; PostgreSQL's own have a dozen. */
const LONGEST_NUMBER = 400

/** Values that one setting takes under two names: hidden enum words of PostgreSQL. */
const ENUM_ALIASES: Readonly<Record<string, string>> = {
  archive: 'replica',
  hot_standby: 'replica',
}

/** Whether PostgreSQL would see the same value. Unreadable numbers are compared as text. */
export function sameSettingValue(one: string, other: string, type: SettingType): boolean {
  if (one === other) return true
  switch (type.vartype) {
    case 'bool':
      return sameParsed(parseSettingBoolean(one), parseSettingBoolean(other))
    case 'enum':
      return canonicalEnum(one) === canonicalEnum(other)
    case 'integer':
    case 'real':
      return sameParsed(parseSettingNumber(one, type), parseSettingNumber(other, type))
    default:
      return false
  }
}

/**
 * `on`, `true`, `yes`, `1`, their opposites and unambiguous beginnings, in any case; undefined when
 * it is none.
 */
export function parseSettingBoolean(text: string): boolean | undefined {
  const word = text.trim().toLowerCase()
  const begins = (whole: string, part: string): boolean => part !== '' && whole.startsWith(part)
  if (word === '1' || word === 'on' || begins('true', word) || begins('yes', word)) return true
  // "o" alone could be "on".
  const isOff = word !== 'o' && begins('off', word)
  return word === '0' || isOff || begins('false', word) || begins('no', word) ? false : undefined
}

/**
 * A number in the setting's own unit, rounded as PostgreSQL rounds it; undefined when it is none.
 * A bare number is in the setting's unit already. Octal and hexadecimal integers count.
 */
export function parseSettingNumber(text: string, type: SettingType): number | undefined {
  const word = text.trim()
  // What a server of others says is matched in more ways than there is time for.
  if (word.length > LONGEST_NUMBER) return undefined
  const match =
    /^([-+]?(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?))\s*([A-Za-z]*)$/.exec(
      word,
    )
  if (match === null) return undefined
  const number = readNumber(match[1] ?? '', type)
  const scaled = match[2] ? toUnit(number, match[2], type.unit ?? '') : number
  if (scaled === undefined || Number.isNaN(scaled)) return undefined
  return type.vartype === 'integer' ? roundHalfEven(scaled) : scaled
}

function readNumber(text: string, type: SettingType): number {
  const sign = text.startsWith('-') ? -1 : 1
  const digits = text.replace(/^[-+]/, '')
  if (/^0x/i.test(digits)) return sign * Number.parseInt(digits, 16)
  const isOctal = type.vartype === 'integer' && /^0[0-7]+$/.test(digits)
  return sign * (isOctal ? Number.parseInt(digits, 8) : Number(digits))
}

/** A fraction is rounded to the next smaller unit first: `30.1GB` is a whole number of MB. */
function toUnit(value: number, from: string, unit: string): number | undefined {
  const [, count, name = ''] = /^(\d*)([A-Za-z]+)$/.exec(unit) ?? []
  const table: Readonly<Record<string, number>> | undefined = [MEMORY_BYTES, TIME_US].find(
    (units) => name in units,
  )
  const fromSize = table?.[from]
  const nameSize = table?.[name]
  if (table === undefined || fromSize === undefined || nameSize === undefined) return undefined
  const unitSize = nameSize * Number(count || 1)
  const smallerSize = Math.max(0, ...Object.values(table).filter((size) => size < fromSize))
  if (smallerSize < unitSize) return (value * fromSize) / unitSize
  return (roundHalfEven((value * fromSize) / smallerSize) * smallerSize) / unitSize
}

function canonicalEnum(text: string): string {
  const word = text.toLowerCase()
  const asBoolean = parseSettingBoolean(word)
  return ENUM_ALIASES[word] ?? (asBoolean === undefined ? word : String(asBoolean))
}

/** C's rint(): halves go to the even neighbour. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  if (value - floor !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}

function sameParsed<T>(one: T | undefined, other: T | undefined): boolean {
  return one !== undefined && one === other
}
