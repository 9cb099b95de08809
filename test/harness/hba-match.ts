/**
 * Which rule of pg_hba.conf decides a connection, to explain a refusal. Rules that cannot be
 * decided from the text alone (host names, samenet, group membership, regular expressions, other
 * files) are named as uncertain. Source: PostgreSQL src/backend/libpq/hba.c (check_hba, check_db,
 * check_role).
 */
import type { HbaEntry } from '../../src/postgres/hba-file.ts'
import type { HbaRule, HbaType } from '../../src/postgres/hba-rule.ts'
import type { HbaToken } from '../../src/postgres/hba-scanner.ts'
import { type IpAddress, networkHolds, parseIpAddress } from '../../src/postgres/ip-network.ts'

/** A connection as the server sees it. */
export interface HbaConnection {
  readonly type: 'local' | 'host'
  /** True for physical replication, which `all` does not match; `database` is then ignored. */
  readonly replication: boolean
  readonly database: string
  readonly user: string
  /** The client's IP address; unused with type local. */
  readonly address?: string
  readonly ssl: boolean
}

/** Which rule decides a connection, as far as the text tells. */
interface HbaVerdict {
  /** The first rule that surely matches; undefined means "no entry": PostgreSQL refuses. */
  readonly decides: Extract<HbaEntry, { kind: 'rule' }> | undefined
  /** Earlier lines that may match instead. */
  readonly uncertain: readonly HbaEntry[]
}

type Answer = 'yes' | 'no' | 'maybe'

const REGEX_SINCE = 16

/**
 * Finds the rule that decides `connection` on a server of `major`. Lines with problems never match.
 */
export function matchHba(
  entries: readonly HbaEntry[],
  connection: HbaConnection,
  major: number,
): HbaVerdict {
  const uncertain: HbaEntry[] = []
  for (const entry of entries) {
    if (entry.kind === 'problem') continue
    const answer = entry.kind === 'include' ? 'maybe' : matchRule(entry.rule, connection, major)
    if (answer === 'maybe') uncertain.push(entry)
    if (answer === 'yes' && entry.kind === 'rule') return { decides: entry, uncertain }
  }
  return { decides: undefined, uncertain }
}

function matchRule(rule: HbaRule, connection: HbaConnection, major: number): Answer {
  if (!matchesType(rule.type, connection)) return 'no'
  return every([
    matchAddress(rule, connection),
    any(rule.databases.map((token) => matchDatabase(token, connection, major))),
    any(rule.users.map((token) => matchUser(token, connection, major))),
  ])
}

function matchesType(type: HbaType, connection: HbaConnection): boolean {
  if (type === 'local' || connection.type === 'local') return type === connection.type
  if (type === 'hostssl') return connection.ssl
  if (type === 'hostnossl') return !connection.ssl
  return type !== 'hostgssenc'
}

function matchAddress(rule: HbaRule, connection: HbaConnection): Answer {
  const { address } = rule
  if (address === undefined || address.kind === 'all') return 'yes'
  if (address.kind !== 'network') return 'maybe'
  const client: IpAddress | undefined = parseIpAddress(connection.address ?? '')
  if (client === undefined) return 'maybe'
  return networkHolds(address.network, client) ? 'yes' : 'no'
}

function matchDatabase(token: HbaToken, connection: HbaConnection, major: number): Answer {
  const { text, isQuoted } = token
  if (isFile(token)) return 'maybe'
  if (connection.replication) return toAnswer(!isQuoted && text === 'replication')
  if (!isQuoted && text === 'all') return 'yes'
  if (!isQuoted && text === 'sameuser') return toAnswer(connection.database === connection.user)
  if (!isQuoted && ['samerole', 'samegroup'].includes(text)) return 'maybe'
  if (!isQuoted && text === 'replication') return 'no'
  if (isRegex(token, major)) return 'maybe'
  return toAnswer(text === connection.database)
}

function matchUser(token: HbaToken, connection: HbaConnection, major: number): Answer {
  const { text, isQuoted } = token
  if (!isQuoted && text.startsWith('+')) return text.slice(1) === connection.user ? 'yes' : 'maybe'
  if (isFile(token)) return 'maybe'
  if (!isQuoted && text === 'all') return 'yes'
  return isRegex(token, major) ? 'maybe' : toAnswer(text === connection.user)
}

function isFile(token: HbaToken): boolean {
  return !token.isQuoted && token.text.length > 1 && token.text.startsWith('@')
}

function isRegex(token: HbaToken, major: number): boolean {
  return major >= REGEX_SINCE && token.text.startsWith('/')
}

function toAnswer(matches: boolean): Answer {
  return matches ? 'yes' : 'no'
}

function every(answers: readonly Answer[]): Answer {
  if (answers.includes('no')) return 'no'
  return answers.includes('maybe') ? 'maybe' : 'yes'
}

function any(answers: readonly Answer[]): Answer {
  if (answers.includes('yes')) return 'yes'
  return answers.includes('maybe') ? 'maybe' : 'no'
}
