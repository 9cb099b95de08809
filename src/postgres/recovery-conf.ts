/**
 * recovery.conf, the file that made a server a standby or a restore up to PostgreSQL 11. From 12 on
 * its settings live in postgresql.conf and the file itself stops the server from starting. Source:
 * PostgreSQL 11 documentation, "Recovery Configuration"; src/backend/access/transam/xlog.c
 * (readRecoveryCommandFile).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { type ConfSettings, formatConfLine, settingsOf } from './conf-file.ts'

/** Every name the file may hold; PostgreSQL 11 refuses to start with any other. */
const RECOVERY_CONF_NAMES = [
  'archive_cleanup_command',
  'primary_conninfo',
  'primary_slot_name',
  'recovery_end_command',
  'recovery_min_apply_delay',
  'recovery_target',
  'recovery_target_action',
  'recovery_target_inclusive',
  'recovery_target_lsn',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_timeline',
  'recovery_target_xid',
  'restore_command',
  'standby_mode',
  'trigger_file',
] as const

const HEADER = '# Managed by Backstay; do not edit.'

/**
 * Reads the file.
 * @throws {BackstayError} POSTGRES_FILE_INVALID at the first line PostgreSQL would refuse.
 */
export function parseRecoveryConf(text: string): ConfSettings {
  return settingsOf(text, 'recovery.conf')
}

/**
 * Writes the whole file, sorted by name; undefined values are left out.
 * @throws {BackstayError} BUG for a name the file may not hold.
 */
export function formatRecoveryConf(settings: Readonly<Record<string, string | undefined>>): string {
  const lines = Object.entries(settings).flatMap(([name, value]) => {
    if (!(RECOVERY_CONF_NAMES as readonly string[]).includes(name)) {
      throw new BackstayError('BUG', `Cannot write recovery.conf: it knows no setting "${name}"`)
    }
    return value === undefined ? [] : [formatConfLine(name, value)]
  })
  return [HEADER, ...lines.sort(), ''].join('\n')
}
