/**
 * Whether anything starts `backstay serve` where the backup server is this machine: without it the
 * slot fills and no backup is taken.
 */
import type { ClusterFound } from '../cluster/found.ts'
import type { NoService, OwnUnit } from '../cluster/machine/own-service.ts'
import { serviceUnitOf } from '../cluster/machine/service-source.ts'
import type { BackupSideStatus } from './status.ts'
import type { ClusterWanted } from '../cluster/wanted.ts'
import { unitPathOf } from '../host/postgres-unit.ts'
import { clusterNames } from '../repository/format.ts'
import type { Clock } from '../util/clock.ts'
import { storeAt } from '../store/address.ts'
import { isStale, readReceiverStatus } from '../wal/receiver-status.ts'
import { spoolDirectoryOf } from '../wal/spool-place.ts'

/**
 * What `up` leaves to be run, a line each; none where it made a service or told why it could not,
 * where the backup server is another machine, and where its receiver reports.
 */
export async function serviceToRun(
  { name, backup }: ClusterWanted,
  own: ClusterFound['ownService'],
  clock: Clock,
): Promise<readonly string[]> {
  if (backup === undefined || !backup.host.local || typeof own === 'object') return []
  const receiver = await readReceiverStatus(
    spoolDirectoryOf({ store: storeAt(backup.repository), names: clusterNames(name) }),
  )
  if (receiver !== undefined && !isStale(receiver, clock)) return []
  const job = backup.schedule.backup === undefined ? '' : ', and no backup is taken by the schedule'
  return [
    `Backup server "${backup.name}" is this machine, and nothing receives WAL here: slot "${backup.slot}" keeps it on the primary${job}.`,
    sentence(nothingStarts(name, own ?? 'no-systemd')),
  ]
}

/**
 * What `status` and `check` are told of the service; pure.
 * @param isReceiving whether a receiver reports, whoever started it
 */
export function judgeService(
  cluster: string,
  own: OwnUnit | NoService | undefined,
  isReceiving: boolean,
): BackupSideStatus['service'] {
  if (own === undefined) return undefined
  if (typeof own === 'string') {
    return { unit: undefined, problem: isReceiving ? undefined : nothingStarts(cluster, own) }
  }
  const unit = serviceUnitOf(cluster)
  const isUp = own.state.activeState === 'active' && own.otherFile === undefined
  if (!isUp && isReceiving) return { unit: undefined, problem: undefined }
  return { unit, problem: unitProblem(unit, own) }
}

function unitProblem(unit: string, { state, otherFile }: OwnUnit): string | undefined {
  if (otherFile !== undefined) {
    return `nothing starts backstay serve for this cluster: service ${unit} works for another one, whose file is ${otherFile}`
  }
  if (state.text === undefined) {
    return `nothing starts backstay serve here: backstay up makes service ${unit}`
  }
  if (state.activeState !== 'active') {
    return `service ${unit} is ${state.activeState}: backstay up starts it, journalctl -u ${unit} says why it ended`
  }
  return state.isEnabled
    ? undefined
    : `service ${unit} runs, and nothing starts it at the next boot: backstay up mends that`
}

function nothingStarts(cluster: string, why: NoService): string {
  const unit = serviceUnitOf(cluster)
  return why === 'no-systemd'
    ? 'nothing starts backstay serve here, because systemd does not run on this machine: have its own supervisor run it, or type: backstay serve'
    : `nothing starts backstay serve here, because only root can make a service: backstay serve --unit | sudo tee ${unitPathOf(unit)} >/dev/null && sudo systemctl enable --now ${unit}`
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}
