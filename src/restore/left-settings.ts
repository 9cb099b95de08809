/**
 * Settings of a restore and how they end. Those of recovery itself go when recovery ends, taken
 * away by the server's own recovery_end_command, whoever promotes it and wherever Backstay is by
 * then. Those that keep a copy quiet stay until somebody wants it to be a server of the cluster
 * again; a mark in postgresql.auto.conf says that a restore put them there, which survives ALTER
 * SYSTEM as no comment does.
 */
import { removeConfSetting, settingsOf } from '../postgres/conf-file.ts'
import { scanConf } from '../postgres/conf-scanner.ts'

/**
 * A setting without meaning for the server: its value lists what else the restore set, besides what
 * is known below.
 */
export const RESTORE_MARK = 'backstay.restored'

/** Settings of the origin that must not act in a copy of it. */
export const SILENCED: Readonly<Record<string, string>> = {
  synchronous_standby_names: '',
  hot_standby: 'on',
  // A subscriber's copy would take the changes of the subscriptions away from it.
  max_logical_replication_workers: '0',
}

/** The same for archiving. */
export const ARCHIVING_OFF: Readonly<Record<string, string>> = {
  archive_mode: 'off',
  archive_command: '',
  archive_library: '',
}

/** What a recovery is told, and nobody else: without meaning, or harmful, once it has ended. */
const OF_RECOVERY = [
  'restore_command',
  'recovery_end_command',
  'archive_cleanup_command',
  'recovery_min_apply_delay',
  'primary_conninfo',
  'primary_slot_name',
]
const TARGET = /^recovery_target(_\w+)?$/
/** How every `restore_command` of ours fetches. */
const OUR_FETCH = /\bwal get\b/

/** Whether a setting is one of recovery. */
export function isOfRecovery(name: string): boolean {
  return OF_RECOVERY.includes(name) || TARGET.test(name)
}

/**
 * Takes the settings of recovery out of postgresql.auto.conf; run by the server in its data
 * directory (12+). Needs nothing of Backstay. Replaced by renaming what is durable: a file cut off
 * would keep the server from starting.
 */
export function recoveryEndCommand(): string {
  const names = [...OF_RECOVERY, 'recovery_target(_[a-z]+)?'].join('|')
  const [file, next] = ['postgresql.auto.conf', 'backstay-restored.conf']
  return `sed -E "/^(${names}) *=/d" ${file} > ${next} && sync ${next} && mv ${next} ${file}`
}

/**
 * postgresql.auto.conf of a server that has ended its recovery, without what a restore left in it;
 * the same text when no restore did. What was set anew since then stays.
 */
export function withoutRestoreSettings(text: string): string {
  const settings = settingsIn(text)
  const mark = settings.get(RESTORE_MARK)
  if (mark === undefined && !OUR_FETCH.test(settings.get('restore_command') ?? '')) return text
  const silenced = Object.entries({ ...SILENCED, ...ARCHIVING_OFF })
  const asSilenced = silenced.filter(([name, value]) => settings.get(name) === value)
  const set = [...asSilenced.map(([name]) => name), ...(mark ?? '').split(' ')]
  const kept = set.reduce(removeLastLine, withoutRecoverySettings(text))
  return removeConfSetting(kept, RESTORE_MARK)
}

/**
 * The text without any setting of recovery, whoever wrote it: for a copy that follows its own
 * primary.
 */
export function withoutRecoverySettings(text: string): string {
  return [...settingsIn(text).keys()].filter(isOfRecovery).reduce(removeConfSetting, text)
}

/** An earlier line of the origin's own comes into force again. */
function removeLastLine(text: string, name: string): string {
  const lines = scanConf(text)
  const place = lines.findLastIndex(
    (line) => line.kind === 'directive' && line.name.toLowerCase() === name,
  )
  return lines.map((line, index) => (index === place ? '' : line.text)).join('')
}

/** What PostgreSQL refuses is for PostgreSQL to say. */
function settingsIn(text: string): ReadonlyMap<string, string> {
  try {
    return settingsOf(text)
  } catch {
    return new Map()
  }
}
