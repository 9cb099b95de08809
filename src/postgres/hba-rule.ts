/**
 * One rule of pg_hba.conf: what its fields mean, and in words which field is wrong. Include lines
 * and `@file` words are recognised, not followed. Option values are not judged. Source: PostgreSQL
 * documentation, "The pg_hba.conf File"; src/backend/libpq/hba.c (parse_hba_line).
 */
import type { HbaField, HbaToken } from './hba-scanner.ts'
import { type IpNetwork, parseIpAddress, prefixMask } from './ip-network.ts'

const HBA_TYPES = ['local', 'host', 'hostssl', 'hostnossl', 'hostgssenc', 'hostnogssenc'] as const

/** Which connections a rule is for. */
export type HbaType = (typeof HBA_TYPES)[number]

/** Which addresses a rule is for. */
export type HbaAddress =
  | { readonly kind: 'all' | 'samehost' | 'samenet' }
  | { readonly kind: 'hostname'; readonly name: string }
  | { readonly kind: 'network'; readonly network: IpNetwork }

/** A line's fields once they are understood; the method and its options as written. */
export interface HbaRule {
  readonly type: HbaType
  readonly databases: HbaField
  readonly users: HbaField
  /** Undefined for `local`. */
  readonly address: HbaAddress | undefined
  readonly method: string
  readonly options: Readonly<Record<string, string>>
}

/** The fields by the documentation's names. */
export type HbaFieldName =
  | 'type'
  | 'database'
  | 'user'
  | 'address'
  | 'IP mask'
  | 'auth-method'
  | 'auth-options'

/** Why a line is no rule. */
export interface HbaRuleProblem {
  readonly field: HbaFieldName
  /** A sentence without full stop: `type "hots" is none of local, host, …`. */
  readonly problem: string
}

/** Method → first major that has it. */
const METHODS: Readonly<Record<string, number>> = {
  trust: 0,
  reject: 0,
  'scram-sha-256': 0,
  md5: 0,
  password: 0,
  gss: 0,
  sspi: 0,
  ident: 0,
  peer: 0,
  ldap: 0,
  radius: 0,
  cert: 0,
  pam: 0,
  bsd: 0,
  oauth: 18,
}
const GSSENC_SINCE = 12

/** Reads the fields of one line as a server of `major` does. */
export function parseHbaRule(fields: readonly HbaField[], major: number): HbaRule | HbaRuleProblem {
  const [typeField, databases, users, ...rest] = fields
  const type = parseType(typeField, major)
  if (typeof type !== 'string') return type
  if (databases === undefined) return { field: 'database', problem: 'the database is missing' }
  if (users === undefined) return { field: 'user', problem: 'the user is missing' }
  const place = type === 'local' ? { used: 0, address: undefined } : parseAddress(rest)
  if ('problem' in place) return place
  const method = parseMethod(rest[place.used], type, major)
  if (typeof method !== 'string') return method
  const options = parseOptions(rest.slice(place.used + 1))
  if (isHbaRuleProblem(options)) return options
  return { type, databases, users, address: place.address, method, options }
}

/** Whether `parseHbaRule` found a problem. */
export function isHbaRuleProblem(result: object): result is HbaRuleProblem {
  return typeof (result as Partial<HbaRuleProblem>).problem === 'string' && 'field' in result
}

function parseType(field: HbaField | undefined, major: number): HbaType | HbaRuleProblem {
  const word = single(field)
  if (word === undefined) return { field: 'type', problem: 'the type is not a single word' }
  const known = HBA_TYPES.filter((type) => major >= GSSENC_SINCE || !type.includes('gssenc'))
  const type = known.find((candidate) => candidate === word.text)
  return type ?? { field: 'type', problem: `type "${word.text}" is none of ${known.join(', ')}` }
}

type ParsedAddress = { readonly address: HbaAddress; readonly used: number }

function parseAddress(rest: readonly HbaField[]): ParsedAddress | HbaRuleProblem {
  const word = single(rest[0])
  if (word === undefined) {
    const problem = rest[0] === undefined ? 'the address is missing' : 'more than one address'
    return { field: 'address', problem }
  }
  if (!word.isQuoted && isAddressKeyword(word.text)) {
    return { address: { kind: word.text }, used: 1 }
  }
  const [text, prefix] = splitOnce(word.text, '/')
  const ip = parseIpAddress(text)
  if (ip === undefined) {
    return prefix === undefined
      ? { address: { kind: 'hostname', name: text }, used: 1 }
      : { field: 'address', problem: `"${word.text}" is neither an IP range nor a host name` }
  }
  if (prefix === undefined) return parseMask(ip, rest[1])
  const mask = /^\d+$/.test(prefix) ? prefixMask(ip.family, Number(prefix)) : undefined
  return mask === undefined
    ? { field: 'address', problem: `"${word.text}" has no valid prefix length` }
    : { address: { kind: 'network', network: { ...ip, mask } }, used: 1 }
}

function parseMask(
  ip: { family: 4 | 6; value: bigint },
  field: HbaField | undefined,
): ParsedAddress | HbaRuleProblem {
  const mask = parseIpAddress(single(field)?.text ?? '')
  if (mask === undefined) {
    return {
      field: 'IP mask',
      problem: 'an IP address needs a prefix length (/32, /128) or a mask after it',
    }
  }
  if (mask.family !== ip.family) {
    return { field: 'IP mask', problem: 'address and mask are of different IP versions' }
  }
  return { address: { kind: 'network', network: { ...ip, mask: mask.value } }, used: 2 }
}

function parseMethod(
  field: HbaField | undefined,
  type: HbaType,
  major: number,
): string | HbaRuleProblem {
  const wrong = (problem: string): HbaRuleProblem => ({ field: 'auth-method', problem })
  if (field === undefined) return wrong('the authentication method is missing')
  const method = single(field)?.text
  if (method === undefined) return wrong('more than one authentication method')
  const since = METHODS[method]
  if (since === undefined) return wrong(`authentication method "${method}" does not exist`)
  if (major < since) {
    return wrong(`authentication method "${method}" exists from PostgreSQL ${since}`)
  }
  if (type === 'local' && method === 'gss') return wrong('"gss" is not possible with type local')
  if (type !== 'local' && method === 'peer') return wrong('"peer" is possible with type local only')
  if (type !== 'hostssl' && method === 'cert') {
    return wrong('"cert" is possible with type hostssl only')
  }
  return method
}

function parseOptions(fields: readonly HbaField[]): Record<string, string> | HbaRuleProblem {
  const options = new Map<string, string>()
  for (const token of fields.flat()) {
    const [name, value] = splitOnce(token.text, '=')
    if (value === undefined) {
      return { field: 'auth-options', problem: `option "${name}" is not name=value` }
    }
    options.set(name, value)
  }
  return Object.fromEntries(options)
}

function single(field: HbaField | undefined): HbaToken | undefined {
  return field?.length === 1 ? field[0] : undefined
}

function isAddressKeyword(text: string): text is 'all' | 'samehost' | 'samenet' {
  return ['all', 'samehost', 'samenet'].includes(text)
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)]
}
