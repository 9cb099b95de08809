/**
 * The settings that make a restored directory recover to its target. Pure: returns lines and files.
 *
 * They stand at the end of postgresql.auto.conf, not in an include file: that file is read last, so
 * nothing of the origin can win over them, it lies in the data directory wherever postgresql.conf
 * is, and pg_verifybackup leaves it out of its judgement. Up to PostgreSQL 11 recovery's own
 * settings are in recovery.conf. Source: PostgreSQL documentation, "Archive Recovery", "Recovery
 * Target".
 */
import { formatConfLine } from '../postgres/conf-file.ts'
import { formatLsn } from '../postgres/lsn.ts'
import { formatRecoveryConf } from '../postgres/recovery-conf.ts'
import { versionFacts } from '../postgres/version.ts'
import { doorEndCommand } from './door-lines.ts'
import { ARCHIVING_OFF, recoveryEndCommand, RESTORE_MARK, SILENCED } from './left-settings.ts'
import type { RestorePlan } from './plan.ts'
import { formatTimeUs } from './target-time.ts'
import { describeTarget } from './wish.ts'

/** What the operator decides besides the plan. */
export interface RecoveryOptions {
  /** The value of restore_command, quoted for the shell already (wal/restore-command.ts). */
  readonly restoreCommand: string
  /**
   * The value of recovery_end_command, quoted like it; nothing is done at the end when undefined.
   */
  readonly endCommand?: string
  /**
   * Leave archiving as the origin had it: the restored server then writes into the same archive.
   */
  readonly keepArchiving: boolean
  /** What the copy needs so that replay goes through (replay-demands.ts). */
  readonly demanded?: Readonly<Record<string, string>>
  /** Port the restored server is to listen on; the origin's when undefined. */
  readonly port: number | undefined
}

/** What recovery needs in the data directory. */
export interface RecoveryFiles {
  /** Appended to postgresql.auto.conf. */
  readonly autoConf: readonly string[]
  /** Files to make: name → content. */
  readonly files: Readonly<Record<string, string>>
}

type RecoverySettings = Readonly<Record<string, string>>

/**
 * From 12 on these are settings too, and the origin may have been restored, or a standby, itself.
 */
const SILENCED_FROM_12: RecoverySettings = {
  primary_conninfo: '',
  primary_slot_name: '',
  archive_cleanup_command: '',
  recovery_min_apply_delay: '0',
}

const TARGET_NAMES = [
  'recovery_target',
  'recovery_target_lsn',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_xid',
]

/** Writes the settings for the major version of the plan's backup. */
export function recoveryFiles(plan: RestorePlan, options: RecoveryOptions): RecoveryFiles {
  const { major } = plan.backup.postgres
  const recovery = recoverySettings(plan, options)
  const added = { ...options.demanded, ...portOf(options) }
  const mark = { [RESTORE_MARK]: Object.keys(added).join(' ') }
  const others = { ...mark, ...SILENCED, ...archivingOff(major, options), ...added }
  if (versionFacts(major).recoveryConf) {
    const standby: RecoverySettings = plan.standbyMode ? { standby_mode: 'on' } : {}
    // It ends with its file.
    const ending = { recovery_end_command: withEndCommand(options, doorEndCommand()) }
    const files = { 'recovery.conf': formatRecoveryConf({ ...recovery, ...ending, ...standby }) }
    return { autoConf: confLines(plan, others), files }
  }
  // The settings of recovery end with it.
  const own = `${doorEndCommand()}; ${recoveryEndCommand()}`
  const ending = { recovery_end_command: withEndCommand(options, own) }
  const settings = {
    ...otherTargets(recovery),
    ...SILENCED_FROM_12,
    ...recovery,
    ...ending,
    ...others,
  }
  const signal = plan.standbyMode ? 'standby.signal' : 'recovery.signal'
  return { autoConf: confLines(plan, settings), files: { [signal]: '' } }
}

/**
 * Targets that the origin may have set, taken back. They must stand before the one that is wanted:
 * once a target is set, PostgreSQL refuses every other one, an empty one too.
 */
function otherTargets(recovery: RecoverySettings): RecoverySettings {
  const others = TARGET_NAMES.filter((name) => !(name in recovery))
  return Object.fromEntries(others.map((name) => [name, '']))
}

function recoverySettings(plan: RestorePlan, options: RecoveryOptions): RecoverySettings {
  const { stopAt } = plan
  const timeline = timelineOf(plan)
  return {
    restore_command: options.restoreCommand,
    ...(timeline === undefined ? {} : { recovery_target_timeline: timeline }),
    ...targetOf(plan),
    ...('inclusive' in stopAt
      ? { recovery_target_inclusive: stopAt.inclusive ? 'on' : 'off' }
      : {}),
    ...(stopAt.type === 'none' ? {} : { recovery_target_action: plan.action }),
  }
}

/**
 * The backup's own timeline needs no history file when it is called `current`; up to 11 that is the
 * word for leaving it out.
 */
function timelineOf(plan: RestorePlan): string | undefined {
  if (plan.followsLatest) return 'latest'
  if (plan.timeline !== plan.backup.timeline) return String(plan.timeline)
  return versionFacts(plan.backup.postgres.major).recoveryConf ? undefined : 'current'
}

function targetOf(plan: RestorePlan): RecoverySettings {
  const { stopAt } = plan
  switch (stopAt.type) {
    case 'none':
      return {}
    case 'immediate':
      return { recovery_target: 'immediate' }
    case 'time':
      return { recovery_target_time: formatTimeUs(stopAt.timeUs) }
    case 'lsn':
      return { recovery_target_lsn: formatLsn(stopAt.lsn) }
    case 'xid':
      return { recovery_target_xid: String(stopAt.xid) }
    case 'name':
      break
  }
  return { recovery_target_name: stopAt.name }
}

/**
 * A copy that archives into its origin's archive mixes two clusters: it is off until somebody wants
 * it.
 */
function archivingOff(major: number, options: RecoveryOptions): RecoverySettings {
  if (options.keepArchiving) return {}
  const { archive_library: _, ...off } = ARCHIVING_OFF
  return major >= 15 ? ARCHIVING_OFF : off
}

function withEndCommand({ endCommand }: RecoveryOptions, own: string): string {
  return endCommand === undefined ? own : `${endCommand}; ${own}`
}

function portOf(options: RecoveryOptions): RecoverySettings {
  return options.port === undefined ? {} : { port: String(options.port) }
}

function confLines(plan: RestorePlan, settings: RecoverySettings): string[] {
  const { id } = plan.backup
  return [
    '',
    `# Written by Backstay for the restore of backup ${id} to ${describeTarget(plan.target)}.`,
    '# The origin must not be touched by this copy, so archiving and subscriptions are off and nobody is waited for or followed.',
    '# What recovery was told is taken away when it has ended. `backstay up` takes away the rest, and so does ALTER SYSTEM RESET.',
    ...Object.entries(settings).map(([name, value]) => formatConfLine(name, value)),
  ]
}
