/**
 * What every session of ours sets at its start, so that no default of the site (postgresql.conf,
 * ALTER DATABASE or ALTER ROLE … SET) decides how it behaves: the client's own settings win over
 * all of them.
 */

/** Known to every supported version and allowed to every user. */
const AT_START: Readonly<Record<string, string>> = {
  role: 'none',
  search_path: 'pg_catalog, pg_temp',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  default_tablespace: '',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  standard_conforming_strings: 'on',
  DateStyle: 'ISO',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  array_nulls: 'on',
}

/** The first version that can leave event triggers out, and has triggers of the login. */
const EVENT_TRIGGERS_SINCE = 17

/**
 * Younger settings, which an older server would refuse at the start: name → the first version that
 * has it.
 */
const AFTER_START = { idle_session_timeout: 14, transaction_timeout: 17 } as const

/**
 * `options` of a startup message or a connection string. A server that reads them replaces also
 * what PGOPTIONS says.
 * @param statementTimeoutMs 0 for none.
 * @param more settings of this session besides, which its server knows and its role may set.
 */
export function startOptions(
  statementTimeoutMs = 0,
  more: Readonly<Record<string, string>> = {},
): string {
  const timeout = { statement_timeout: String(statementTimeoutMs) }
  return Object.entries({ ...AT_START, ...timeout, ...more })
    .map(([name, value]) => optionOf(name, value))
    .join(' ')
}

/**
 * Keeps what somebody else's server runs in each session out of it, for a superuser's one:
 * libraries, and from 17 on triggers of the login. The server's own options are weaker than ALTER
 * DATABASE and ALTER ROLE … SET; these are not.
 */
export function quietSession(major: number): Readonly<Record<string, string>> {
  const libraries = { session_preload_libraries: '', local_preload_libraries: '' }
  return major >= EVENT_TRIGGERS_SINCE ? { ...libraries, event_triggers: 'off' } : libraries
}

/**
 * The statements that set the rest in an SQL session of a server of that version; empty when there
 * is no rest.
 */
export function afterStart(major: number): string {
  return Object.entries(AFTER_START)
    .filter(([, since]) => major >= since)
    .map(([name]) => `SET ${name} = 0`)
    .join('; ')
}

/**
 * A replication session cannot SET: what it has to give at its start beside `startOptions` when the
 * server has one.
 */
export const IDLE_TIMEOUT = {
  name: 'idle_session_timeout',
  since: AFTER_START.idle_session_timeout,
  option: optionOf('idle_session_timeout', '0'),
} as const

/** The server splits `options` at blanks; a backslash keeps the next character. */
function optionOf(name: string, value: string): string {
  return `-c ${name}=${value.replaceAll(/[\\\s]/g, String.raw`\$&`)}`
}
