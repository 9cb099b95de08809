/**
 * Text of the simple replication commands. Names and values are quoted here and nowhere else.
 * Source: PostgreSQL documentation, "Streaming Replication Protocol";
 * src/backend/replication/repl_scanner.l.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { versionFacts } from '../postgres/version.ts'

/** How a physical slot is made. */
export interface CreateSlotOptions {
  /** Keep WAL from now on, not only from the first use. Default true. */
  readonly reserveWal?: boolean
  /** The slot goes with this connection. Default false. */
  readonly temporary?: boolean
}

/** Where physical streaming starts. */
export interface StreamPosition {
  readonly slot?: string | undefined
  readonly startLsn: Lsn
  readonly timeline: number
}

/** CREATE_REPLICATION_SLOT for a physical slot. */
export function createSlotCommand(name: string, options: CreateSlotOptions, major: number): string {
  const temporary = options.temporary === true ? ' TEMPORARY' : ''
  const reserve = options.reserveWal === false ? '' : reserveClause(major)
  return `CREATE_REPLICATION_SLOT ${quoteName(name)}${temporary} PHYSICAL${reserve}`
}

/** START_REPLICATION for physical WAL. */
export function startReplicationCommand(position: StreamPosition): string {
  const slot = position.slot === undefined ? '' : ` SLOT ${quoteName(position.slot)}`
  const { startLsn, timeline } = position
  return `START_REPLICATION${slot} PHYSICAL ${formatLsn(startLsn)} TIMELINE ${timeline}`
}

/**
 * A slot name as the server accepts it, quoted.
 * @throws {BackstayError} CONFIG_INVALID for another name.
 */
export function quoteName(name: string): string {
  if (/^[a-z0-9_]{1,63}$/.test(name)) return `"${name}"`
  throw new BackstayError(
    'CONFIG_INVALID',
    `Cannot use "${name}" as the name of a replication slot`,
    {
      hint: 'Use up to 63 lower-case letters, digits and underscores.',
    },
  )
}

/** A string literal. @throws {BackstayError} CONFIG_INVALID when it holds a zero byte. */
export function quoteLiteral(value: string): string {
  if (!value.includes('\0')) return `'${value.replaceAll("'", "''")}'`
  throw new BackstayError('CONFIG_INVALID', 'Cannot send a text with a zero byte to PostgreSQL')
}

/** A setting's name for SHOW. @throws {BackstayError} CONFIG_INVALID for anything but a name. */
export function showCommand(setting: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_.]*$/.test(setting)) return `SHOW ${setting}`
  throw new BackstayError('CONFIG_INVALID', `Cannot show "${setting}": it is no name of a setting`)
}

function reserveClause(major: number): string {
  return versionFacts(major).baseBackupParentheses ? ' (RESERVE_WAL)' : ' RESERVE_WAL'
}
