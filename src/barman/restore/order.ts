/**
 * The words of `barman restore` as an order, refused in Barman's words where it would refuse.
 */
import { isAbsolute } from 'node:path'
import type { BarmanServer } from '../../config/barman/model.ts'
import {
  type RestoreTarget,
  type TargetAction,
  targetOf,
  timelineChoiceOf,
  type TimelineChoice,
} from '../../restore/wish.ts'
import { hasZone } from '../../restore/target-time.ts'
import type { BarmanContext } from '../context.ts'

/** What is to be restored, and how. */
export interface BarmanRestoreOrder {
  readonly destination: string
  readonly target: RestoreTarget
  readonly timeline: TimelineChoice
  readonly action: TargetAction
  readonly standbyMode: boolean
  /** WAL is fetched with barman get-wal while recovering, instead of being copied now. */
  readonly getWal: boolean
  readonly isDelta: boolean
  readonly remote: string | undefined
  readonly stagingWalDirectory: string | undefined
  /** NAME:LOCATION as typed. */
  readonly tablespaces: readonly string[]
  readonly jobs: number | undefined
  readonly portOption: string | undefined
  /** Which target, as `time: '…'`; undefined without one. */
  readonly targetText: string | undefined
  readonly warnings: readonly string[]
}

const TARGETS = ['targetTime', 'targetXid', 'targetLsn', 'targetName', 'targetImmediate'] as const

/** Options that a restore here cannot do what they say for. */
const UNSUPPORTED = [
  ['snapshotRecoveryInstance', '--snapshot-recovery-instance'],
  ['gcpZone', '--gcp-zone'],
  ['azureResourceGroup', '--azure-resource-group'],
  ['awsRegion', '--aws-region'],
] as const

/**
 * The order, or why there is none.
 * @throws {BackstayError} USAGE for a target that cannot be read.
 */
export function orderOf(context: BarmanContext, server: BarmanServer): BarmanRestoreOrder | string {
  const { options, words } = context
  const given = TARGETS.filter((key) => options[key] !== undefined)
  const destination = words[2] ?? ''
  const refusal = refusalOf(context, given.length, destination)
  if (refusal !== undefined) return refusal
  const target = targetOf({
    targetTime: options.targetTime,
    targetXid: options.targetXid,
    targetLsn: options.targetLsn,
    targetName: options.targetName,
    targetImmediate: options.targetImmediate === true,
    exclusive: options.exclusive === true && canExclude(given),
  })
  return {
    destination,
    target,
    timeline: timelineChoiceOf(options.targetTli ?? 'latest'),
    action: (options.targetAction ?? 'pause') as TargetAction,
    standbyMode: options.standbyMode === true,
    getWal: options.getWal ?? server.recoveryOptions.includes('get-wal'),
    isDelta: options.deltaRestore ?? server.recoveryOptions.includes('delta-restore'),
    remote: options.remoteSshCommand,
    stagingWalDirectory: options.stagingWalDirectory,
    tablespaces: options.tablespace ?? [],
    jobs: options.jobs,
    portOption: options.recoveryOptionPort?.toString(),
    targetText: targetText(given[0], options),
    warnings: zoneWarning(options.targetTime),
  }
}

/** --exclusive says nothing for a name or the end of the backup; Barman ignores it there. */
function canExclude(given: readonly string[]): boolean {
  return ['targetTime', 'targetXid', 'targetLsn'].includes(given[0] ?? '')
}

function refusalOf(
  { options }: BarmanContext,
  targets: number,
  destination: string,
): string | undefined {
  if (targets > 1) return 'You cannot specify multiple targets for the recovery operation'
  if (destination.includes(':')) {
    return "The destination directory parameter cannot contain the ':' character\nHINT: If you want to do a remote recovery you have to use the --remote-ssh-command option"
  }
  const action = options.targetAction
  if (action !== undefined && targets === 0) {
    return "Can't enable recovery target action when PITR is not required"
  }
  const staging = options.stagingWalDirectory
  if (staging !== undefined && !isAbsolute(staging)) {
    return '--staging-wal-directory must be an absolute path'
  }
  const file = options.recoveryConfFilename
  if (file !== undefined && file !== 'postgresql.auto.conf') {
    return '--recovery-conf-filename is not supported: settings go to postgresql.auto.conf'
  }
  const unsupported = UNSUPPORTED.find(([key]) => options[key] !== undefined)
  return unsupported === undefined ? undefined : `${unsupported[1]} is not supported`
}

function targetText(
  key: (typeof TARGETS)[number] | undefined,
  options: BarmanContext['options'],
): string | undefined {
  if (key === undefined) return undefined
  const name = key.slice('target'.length).toLowerCase()
  return key === 'targetImmediate' ? 'immediate: True' : `${name}: '${String(options[key])}'`
}

function zoneWarning(time: string | undefined): string[] {
  if (time === undefined || hasZone(time)) return []
  return [
    "No time zone has been specified through '--target-time' command-line option. Barman assumed the same time zone from the Barman host.",
  ]
}
