/**
 * What an operator wants restored: which backup, to which moment, where to. Reads the words of the
 * command line; whether the moment can be reached is the planner's question (plan.ts).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { type Lsn, formatLsn, parseLsn } from '../postgres/lsn.ts'
import type { BackupId } from '../repository/backup-info.ts'
import { spellTimeUs } from '../util/local-time.ts'
import { parseTimeUs } from './target-time.ts'

/** The words of recovery_target_action, for option lists. */
export const TARGET_ACTIONS = ['pause', 'promote', 'shutdown'] as const

/** What the server does once the target is reached. */
export type TargetAction = (typeof TARGET_ACTIONS)[number]

/** The moment recovery ends at. `inclusive`: what happens at the moment itself is kept. */
export type RestoreTarget =
  | { readonly type: 'none' }
  | { readonly type: 'immediate' }
  | { readonly type: 'time'; readonly timeUs: bigint; readonly inclusive: boolean }
  | { readonly type: 'lsn'; readonly lsn: Lsn; readonly inclusive: boolean }
  /** The low 32 bits, as WAL records hold it. */
  | { readonly type: 'xid'; readonly xid: number; readonly inclusive: boolean }
  | { readonly type: 'name'; readonly name: string }

/** `latest`: the newest one; `auto`: the newest one from which the target can be reached. */
export type BackupChoice = BackupId | 'latest' | 'auto'

/** `latest`: the newest timeline that can be reached; `current`: the backup's own. */
export type TimelineChoice = number | 'latest' | 'current'

/** The part of the wish that decides what is restored. */
export interface RestoreWish {
  readonly backup: BackupChoice
  readonly target: RestoreTarget
  readonly timeline: TimelineChoice
  readonly action: TargetAction
  /** Stay a standby: never promote by itself, follow the newest timeline. */
  readonly standbyMode: boolean
}

/** The target options as they are typed; undefined when not given. */
export interface TargetOptions {
  readonly targetTime?: string | undefined
  readonly targetLsn?: string | undefined
  readonly targetXid?: string | undefined
  readonly targetName?: string | undefined
  readonly targetImmediate?: boolean | undefined
  readonly exclusive?: boolean | undefined
}

const LONGEST_NAME = 63
const FIRST_NORMAL_XID = 3n

/**
 * Reads the target options.
 * @throws {BackstayError} USAGE when several are given or one cannot be read.
 */
export function targetOf(options: TargetOptions): RestoreTarget {
  const given = givenTargets(options)
  if (given.length > 1) {
    throw usage(`Cannot restore to ${given.join(' and ')} at once`, 'Name one target.')
  }
  const target = readTarget(options)
  if (options.exclusive === true && !('inclusive' in target)) {
    const what = given[0] ?? 'the end of WAL'
    throw usage(
      `Cannot leave out the target itself with ${what}`,
      '--exclusive goes with --target-time, --target-xid or --target-lsn.',
    )
  }
  return target
}

/** Reads `--target-tli`. @throws {BackstayError} USAGE */
export function timelineChoiceOf(text: string): TimelineChoice {
  if (text === 'latest' || text === 'current') return text
  const timeline = Number(text)
  if (/^\d+$/.test(text) && timeline >= 1 && timeline <= 0xffffffff) return timeline
  throw usage(`Cannot read "${text}" as a timeline`, 'Use a number, latest or current.')
}

/** The target in words for people: `time 2026-11-22 10:00:00+00`, `the end of WAL`. */
export function describeTarget(target: RestoreTarget): string {
  switch (target.type) {
    case 'none':
      return 'the end of WAL'
    case 'immediate':
      return 'the end of the backup'
    case 'time':
      return `time ${spellTimeUs(target.timeUs)}`
    case 'lsn':
      return `LSN ${formatLsn(target.lsn)}`
    case 'xid':
      return `transaction ${target.xid}`
    case 'name':
      break
  }
  return `restore point "${target.name}"`
}

function givenTargets(options: TargetOptions): string[] {
  const given: [string, unknown][] = [
    ['--target-time', options.targetTime],
    ['--target-lsn', options.targetLsn],
    ['--target-xid', options.targetXid],
    ['--target-name', options.targetName],
    ['--target-immediate', options.targetImmediate === true ? true : undefined],
  ]
  return given.filter(([, value]) => value !== undefined).map(([name]) => name)
}

function readTarget(options: TargetOptions): RestoreTarget {
  const inclusive = options.exclusive !== true
  if (options.targetTime !== undefined) return readTime(options.targetTime, inclusive)
  if (options.targetLsn !== undefined) return readLsn(options.targetLsn, inclusive)
  if (options.targetXid !== undefined) return readXid(options.targetXid, inclusive)
  if (options.targetName !== undefined) return readName(options.targetName)
  return { type: options.targetImmediate === true ? 'immediate' : 'none' }
}

function readTime(text: string, inclusive: boolean): RestoreTarget {
  const timeUs = parseTimeUs(text)
  if (timeUs !== undefined) return { type: 'time', timeUs, inclusive }
  throw usage(
    `Cannot read "${text}" as a time`,
    'Write it as "2026-11-22 10:00:00+00" or 2026-11-22T10:00:00Z.',
  )
}

function readLsn(text: string, inclusive: boolean): RestoreTarget {
  const lsn = parseLsn(text)
  if (lsn !== undefined) return { type: 'lsn', lsn, inclusive }
  throw usage(`Cannot read "${text}" as an LSN`, 'Write it as 16/B374D848.')
}

function readXid(text: string, inclusive: boolean): RestoreTarget {
  const whole = /^\d{1,20}$/.test(text) ? BigInt(text) : -1n
  const xid = BigInt.asUintN(32, whole)
  const isNormal = whole >= 0n && whole < 1n << 64n && xid >= FIRST_NORMAL_XID
  if (isNormal) return { type: 'xid', xid: Number(xid), inclusive }
  throw usage(`Cannot read "${text}" as a transaction id`, 'Use what pg_current_xact_id() gave.')
}

function readName(name: string): RestoreTarget {
  const bytes = Buffer.byteLength(name)
  if (bytes > 0 && bytes <= LONGEST_NAME && !/[\n\r\0]/.test(name)) return { type: 'name', name }
  throw usage(
    `Cannot use "${name}" as the name of a restore point`,
    `A name has 1 to ${LONGEST_NAME} bytes in one line.`,
  )
}

function usage(message: string, hint: string): BackstayError {
  return new BackstayError('USAGE', message, { hint })
}
