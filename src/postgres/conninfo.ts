/**
 * libpq connection strings, `key=value` text or a `postgresql://` address, as a record of libpq's
 * keywords. Knows the syntax only: no defaults, no environment, and no opinion on which keywords
 * exist. Error texts name positions, never content: a connection string may hold a password
 * anywhere. Source: PostgreSQL documentation, "Connection Strings";
 * src/interfaces/libpq/fe-connect.c (conninfo_parse, conninfo_uri_parse).
 */
import { BackstayError } from '../errors/backstay-error.ts'

/** Keyword → value, in order of first appearance; of a repeated keyword the last value. */
export type Conninfo = Readonly<Record<string, string>>

/** Values to write; undefined ones are left out. */
export type ConninfoValues = Readonly<Record<string, string | number | undefined>>

const URI_PREFIX = /^postgres(?:ql)?:\/\//
const BLANK = /[ \t\n\v\f\r]/

/**
 * Reads a connection string in either form.
 * @throws {BackstayError} CONFIG_INVALID with the character position of the problem.
 */
export function parseConninfo(text: string): Conninfo {
  return URI_PREFIX.test(text) ? parseUri(text) : parseKeyValues(text)
}

/**
 * Writes `key=value` text; values that are empty or hold blanks, quotes or backslashes are quoted.
 */
export function formatConninfo(values: ConninfoValues): string {
  return Object.entries(values)
    .filter((entry): entry is [string, string | number] => entry[1] !== undefined)
    .map(([key, value]) => `${key}=${quoteConninfoValue(String(value))}`)
    .join(' ')
}

/** One value as it stands after `key=`. */
function quoteConninfoValue(value: string): string {
  return /^[^\s'\\]+$/.test(value) ? value : `'${value.replace(/['\\]/g, String.raw`\$&`)}'`
}

function parseKeyValues(text: string): Conninfo {
  const found = new Map<string, string>()
  let at = skipBlanks(text, 0)
  while (at < text.length) {
    const match = /[^= \t\n\v\f\r]*/y
    match.lastIndex = at
    const key = match.exec(text)?.[0] ?? ''
    const equals = skipBlanks(text, at + key.length)
    if (text[equals] !== '=' || key === '') throw problem('a word without "="', at)
    const value = readValue(text, skipBlanks(text, equals + 1))
    found.set(key, value.text)
    at = skipBlanks(text, value.end)
  }
  return Object.fromEntries(found)
}

function readValue(text: string, start: number): { text: string; end: number } {
  const quoted = text[start] === "'"
  let value = ''
  let at = quoted ? start + 1 : start
  for (; at < text.length; at += 1) {
    const character = text.charAt(at)
    if (quoted ? character === "'" : BLANK.test(character)) break
    if (character === '\\') at += 1
    value += text.charAt(at)
  }
  if (quoted && at >= text.length) throw problem('a quoted value without end', start)
  return { text: value, end: Math.min(at + 1, text.length) }
}

function skipBlanks(text: string, from: number): number {
  let at = from
  while (at < text.length && BLANK.test(text.charAt(at))) at += 1
  return at
}

const AUTHORITY = /^(?:([^:@/]*)(?::([^@/]*))?@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s

function parseUri(text: string): Conninfo {
  const start = URI_PREFIX.exec(text)?.[0].length ?? 0
  const match = AUTHORITY.exec(text.slice(start))
  if (match === null) throw problem('an address of unknown form', start)
  const [, user, password, hosts = '', database, parameters] = match
  const found = new Map<string, string>()
  const store = (key: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') found.set(key, decode(value, start))
  }
  store('user', user)
  store('password', password)
  const places = hosts.split(',').map((place) => splitPlace(place, start))
  if (places.some((place) => place.host !== '')) {
    store('host', places.map((place) => place.host).join(','))
  }
  if (places.some((place) => place.port !== '')) {
    store('port', places.map((place) => place.port).join(','))
  }
  store('dbname', database)
  for (const [key, value] of parseParameters(parameters, start)) found.set(key, value)
  return Object.fromEntries(found)
}

function splitPlace(place: string, at: number): { host: string; port: string } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(.*))?$/.exec(place)
  if (match === null) throw problem('a host of unknown form', at)
  return { host: match[1] ?? match[2] ?? '', port: match[3] ?? '' }
}

function parseParameters(text: string | undefined, at: number): [string, string][] {
  if (text === undefined || text === '') return []
  return text.split('&').map((parameter) => {
    const [key = '', value, ...rest] = parameter.split('=')
    if (key === '' || value === undefined || rest.length > 0) {
      throw problem('a parameter that is not key=value', at)
    }
    const pair: [string, string] = [decode(key, at), decode(value, at)]
    return pair[0] === 'ssl' && pair[1] === 'true' ? ['sslmode', 'require'] : pair
  })
}

function decode(text: string, at: number): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw problem('a percent sign that starts no character', at)
  }
}

function problem(what: string, at: number): BackstayError {
  return new BackstayError(
    'CONFIG_INVALID',
    `Cannot read connection string: ${what} at character ${at + 1}`,
    { hint: "Write it as key=value pairs, values with blanks as key='a value'." },
  )
}
