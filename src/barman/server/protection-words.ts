/**
 * The words of a libpq connection string that protect, with libpq's environment variables behind
 * them: honoured, or refused where they cannot be. A word that is dropped would leave an operator
 * unprotected who asked for protection. Source: PostgreSQL documentation, "Parameter Key Words" and
 * "Environment Variables" of libpq; fe-connect.c (PQconninfoOptions).
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Conninfo } from '../../postgres/conninfo.ts'
import type { Environment } from '../../util/environment.ts'
import {
  AUTH_METHODS,
  type AuthMethod,
  CHANNEL_BINDINGS,
  type ConnectionOptions,
  SSL_MODES,
  TLS_VERSIONS,
} from '../../wire/connection-options.ts'

/** The environment variable of a word. */
const VARIABLES: Readonly<Record<string, string>> = {
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslcrl: 'PGSSLCRL',
  sslcrldir: 'PGSSLCRLDIR',
  sslcertmode: 'PGSSLCERTMODE',
  sslnegotiation: 'PGSSLNEGOTIATION',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
  channel_binding: 'PGCHANNELBINDING',
  require_auth: 'PGREQUIREAUTH',
  requirepeer: 'PGREQUIREPEER',
  gssencmode: 'PGGSSENCMODE',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  service: 'PGSERVICE',
}

/** Words that are read elsewhere, or change nothing about whom is talked to and how. */
const HARMLESS = new Set(
  [
    'host hostaddr port dbname user password passfile connect_timeout application_name',
    'fallback_application_name client_encoding options keepalives keepalives_idle keepalives_interval',
    'keepalives_count tcp_user_timeout replication sslcompression sslsni krbsrvname gsslib gssdelegation',
    'load_balance_hosts servicefile min_protocol_version max_protocol_version sslkeylogfile',
  ].flatMap((line) => line.split(' ')),
)

/** Values of words that ask for nothing, or for what is done anyway; any other value is refused. */
const WITHOUT_EFFECT: Readonly<Record<string, readonly string[]>> = {
  gssencmode: ['disable', 'prefer'],
  sslcertmode: ['allow', 'disable'],
  sslnegotiation: ['postgres'],
  target_session_attrs: ['any'],
  sslcrldir: [],
  requirepeer: [],
  service: [],
  sslpassword: [],
  authtype: [],
}

/** libpq's methods of require_auth, those included that are never answered here. */
const METHODS = [...AUTH_METHODS, 'gss', 'sspi', 'oauth']

/**
 * What protects a connection.
 * @throws {BackstayError} CONFIG_INVALID for a word or value that cannot be kept
 */
export function protectionFrom(
  conninfo: Conninfo,
  environment: Environment,
): Partial<ConnectionOptions> {
  for (const word of Object.keys(conninfo)) {
    if (!HARMLESS.has(word) && !(word in VARIABLES) && !(word in WITHOUT_EFFECT)) {
      throw invalid(`"${word}" is no word of a connection string`)
    }
  }
  const valueOf = (word: string): string | undefined => {
    const value = conninfo[word] ?? environment[VARIABLES[word] ?? '']
    return value === '' ? undefined : value
  }
  for (const [word, harmless] of Object.entries(WITHOUT_EFFECT)) {
    const value = valueOf(word)
    if (value === undefined || harmless.includes(value)) continue
    throw invalid(`${word} "${value}" cannot be kept: Backstay's own connections do not have it`)
  }
  return {
    ...certificates(valueOf),
    ...chosen('sslMinVersion', oneOf('ssl_min_protocol_version', TLS_VERSIONS, valueOf)),
    ...chosen('sslMaxVersion', oneOf('ssl_max_protocol_version', TLS_VERSIONS, valueOf)),
    ...chosen('channelBinding', oneOf('channel_binding', CHANNEL_BINDINGS, valueOf)),
    ...chosen('requireAuth', methodsOf(valueOf('require_auth'))),
  }
}

type ValueOf = (word: string) => string | undefined

function certificates(valueOf: ValueOf): Partial<ConnectionOptions> {
  const sslrootcert = valueOf('sslrootcert')
  const given = oneOf('sslmode', SSL_MODES, valueOf)
  // libpq knows no weaker way with the system's certificates, which sign for anybody.
  const sslmode = given ?? (sslrootcert === 'system' ? 'verify-full' : undefined)
  if (sslrootcert === 'system' && sslmode !== 'verify-full') {
    throw invalid(`sslrootcert "system" needs sslmode "verify-full", found "${sslmode ?? ''}"`)
  }
  const sslcrl = valueOf('sslcrl')
  if (sslcrl !== undefined && (sslrootcert === undefined || sslrootcert === 'system')) {
    throw invalid('sslcrl needs sslrootcert, the file of those who revoke')
  }
  const sendsCertificate = valueOf('sslcertmode') !== 'disable'
  return {
    ...chosen('sslmode', sslmode),
    ...chosen('sslrootcert', sslrootcert),
    ...chosen('sslcrl', sslcrl),
    ...(sendsCertificate ? chosen('sslcert', valueOf('sslcert')) : {}),
    ...(sendsCertificate ? chosen('sslkey', valueOf('sslkey')) : {}),
  }
}

/** `md5,scram-sha-256`, or `!password,!none`. */
function methodsOf(text: string | undefined): readonly AuthMethod[] | undefined {
  if (text === undefined) return undefined
  const words = text.split(',').map((word) => word.trim())
  const names = words.map((word) => word.replace(/^!/, ''))
  const negated = words.filter((word) => word.startsWith('!')).length
  const isMixed = negated > 0 && negated < words.length
  const unknown = names.find((name) => !METHODS.includes(name))
  if (isMixed || unknown !== undefined) throw invalid(`require_auth "${text}" is not understood`)
  return AUTH_METHODS.filter((method) => names.includes(method) !== negated > 0)
}

function oneOf<T extends string>(
  word: string,
  known: readonly T[],
  valueOf: ValueOf,
): T | undefined {
  const value = valueOf(word)
  if (value === undefined) return undefined
  const found = known.find((one) => one === value)
  if (found !== undefined) return found
  throw invalid(`"${value}" is no ${word}`)
}

function chosen<K extends keyof ConnectionOptions>(
  key: K,
  value: ConnectionOptions[K],
): Partial<ConnectionOptions> {
  return value === undefined ? {} : { [key]: value }
}

function invalid(what: string): BackstayError {
  return new BackstayError('CONFIG_INVALID', `Cannot connect: ${what}`)
}
