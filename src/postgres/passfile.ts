/**
 * The password file (.pgpass): `host:port:database:user:password`, one line a password. Works on
 * the file's text; reading it and refusing loose permissions is the caller's. Source: PostgreSQL
 * documentation, "The Password File"; src/interfaces/libpq/fe-connect.c (passwordFromFile).
 */
import { BackstayError } from '../errors/backstay-error.ts'

/** Which connections a line is for; a field left undefined matches everything (`*`). */
export interface PassfileKey {
  /** Name, address, or the directory of a Unix socket. */
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** `replication` for physical replication. */
  readonly database?: string | undefined
  readonly user?: string | undefined
}

/** A line of the file. */
export interface PassfileEntry extends PassfileKey {
  readonly password: string
}

/** A connection that needs a password. */
export interface PassfileLookup {
  /** Empty means the default Unix socket. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}

/** Socket directories that builds of libpq have as default; libpq looks these up as `localhost`. */
const DEFAULT_SOCKET_DIRECTORIES = ['/tmp', '/var/run/postgresql', '/run/postgresql'] as const

const KEY_FIELDS = 4

interface PassfileLine {
  readonly raw: string
  /**
   * The four fields as written, `*` being the wildcard; undefined for comments and foreign text.
   */
  readonly key: readonly string[] | undefined
  readonly password: string
}

/**
 * The password of the first line that matches, or undefined. The empty password is returned as
 * such.
 */
export function lookupPassword(passfile: string, connection: PassfileLookup): string | undefined {
  const { port, database, user } = connection
  const wanted = [hostNames(connection.host), [String(port)], [database], [user]]
  const line = linesOf(passfile).find((candidate) =>
    candidate.key?.every(
      (field, index) => field === '*' || wanted[index]?.includes(unescape(field)) === true,
    ),
  )
  return line?.password
}

/**
 * A line, without line end. A literal `*` is written `\*`.
 * @throws {BackstayError} CONFIG_INVALID when a field holds a line end, which the format cannot
 * express.
 */
export function formatPassfileLine(entry: PassfileEntry): string {
  const line = [...keyFields(entry), escape(entry.password)].join(':')
  if (!/[\r\n\0]/.test(line)) return line
  throw new BackstayError(
    'CONFIG_INVALID',
    `Cannot write a password file line for user "${entry.user ?? '*'}": a field holds a line end`,
    { hint: 'Choose a password of one line.' },
  )
}

/**
 * The file with `entry` in it: a line of the same key is replaced, duplicates of it go, every other
 * line stays as it is. A new line is put before the first line that would win over it, else at the
 * end. Same entry again: same text.
 */
export function upsertPassfileLine(passfile: string, entry: PassfileEntry): string {
  const key = keyFields(entry)
  const lines = linesOf(passfile)
  const others = lines.filter((line) => !sameKey(line, key))
  const places = [
    others.findIndex((line) => line.key?.every((field, index) => overlap(field, key[index]))),
    lines.findIndex((line) => sameKey(line, key)),
  ].filter((place) => place >= 0)
  const raws = others.map((line) => line.raw)
  raws.splice(Math.min(...places, raws.length), 0, formatPassfileLine(entry))
  return joinLines(raws)
}

/** The file without the lines of that key. */
export function removePassfileLine(passfile: string, key: PassfileKey): string {
  const fields = keyFields(key)
  const lines = linesOf(passfile)
  const kept = lines.filter((line) => !sameKey(line, fields))
  return kept.length === lines.length ? passfile : joinLines(kept.map((line) => line.raw))
}

function hostNames(host: string): readonly string[] {
  if (host === '') return ['localhost']
  const isDefault = (DEFAULT_SOCKET_DIRECTORIES as readonly string[]).includes(host)
  return isDefault ? ['localhost', host] : [host]
}

function linesOf(passfile: string): PassfileLine[] {
  const raws = passfile.split('\n')
  if (raws.at(-1) === '') raws.pop()
  return raws.map(parseLine)
}

function parseLine(raw: string): PassfileLine {
  const fields = splitFields(withoutReturns(raw))
  const isForeign = raw.startsWith('#') || fields.length <= KEY_FIELDS
  return {
    raw,
    key: isForeign ? undefined : fields.slice(0, KEY_FIELDS),
    password: unescape(fields[KEY_FIELDS] ?? ''),
  }
}

/** A pattern would look for the end of the line from each carriage return in it. */
function withoutReturns(raw: string): string {
  let end = raw.length
  while (end > 0 && raw.charAt(end - 1) === '\r') end -= 1
  return raw.slice(0, end)
}

function splitFields(text: string): string[] {
  const fields = ['']
  for (const [piece] of text.matchAll(/\\.|./gs)) {
    if (piece === ':') fields.push('')
    else fields[fields.length - 1] += piece
  }
  return fields
}

function keyFields(key: PassfileKey): readonly string[] {
  return [key.host, key.port?.toString(), key.database, key.user].map((field) =>
    // An unescaped star would be the wildcard, a number sign at the start of the line a comment.
    field === undefined ? '*' : escape(field).replace(/^(\*$|#)/, String.raw`\$1`),
  )
}

function sameKey(line: PassfileLine, key: readonly string[]): boolean {
  return line.key?.every((field, index) => equal(field, key[index])) === true
}

function overlap(one: string, other: string | undefined): boolean {
  return one === '*' || other === '*' || equal(one, other)
}

function equal(one: string, other: string | undefined): boolean {
  if (one === '*' || other === '*') return one === other
  return unescape(one) === unescape(other ?? '')
}

function escape(field: string): string {
  return field.replace(/[:\\]/g, String.raw`\$&`)
}

function unescape(field: string): string {
  return field.replace(/\\(.)/gs, '$1')
}

function joinLines(raws: readonly string[]): string {
  return raws.map((raw) => `${raw}\n`).join('')
}
