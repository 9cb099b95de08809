/**
 * What a standby may not have lower than its primary, taken from what both run with.
 */
import type { ControlParameters } from '../../postgres/control-file.ts'
import type { MemberFound } from '../../cluster/leader.ts'
import {
  STANDBY_FLOOR_SETTINGS,
  type SettingsContext,
  type StandbyFloorSetting,
} from '../../cluster/settings.ts'

/**
 * What the standby may not fall below: what the primary runs with, and what the standby has
 * replayed of it.
 */
export function floorsFor(
  standby: MemberFound | undefined,
  primary: MemberFound | undefined,
): SettingsContext['floors'] {
  const entries = STANDBY_FLOOR_SETTINGS.flatMap((name): [StandbyFloorSetting, number][] => {
    const values = [
      parameterOf(standby?.directory.control.parameters, name),
      Number(primary?.sql?.settings.get(name)?.value ?? Number.NaN),
      parameterOf(primary?.directory.control.parameters, name),
    ].filter((value) => !Number.isNaN(value))
    return values.length === 0 ? [] : [[name, Math.max(...values)]]
  })
  return Object.fromEntries(entries)
}

/** The same, as a fresh clone's pg_control says it. */
export function floorsOfControl(parameters: ControlParameters): SettingsContext['floors'] {
  const entries = STANDBY_FLOOR_SETTINGS.map(
    (name) => [name, parameterOf(parameters, name)] as const,
  )
  return Object.fromEntries(entries.filter(([, value]) => !Number.isNaN(value)))
}

const PARAMETER_NAMES = {
  max_connections: 'maxConnections',
  max_worker_processes: 'maxWorkerProcesses',
  max_wal_senders: 'maxWalSenders',
  max_prepared_transactions: 'maxPreparedTransactions',
  max_locks_per_transaction: 'maxLocksPerTransaction',
} as const satisfies Record<StandbyFloorSetting, keyof ControlParameters>

function parameterOf(parameters: ControlParameters | undefined, name: StandbyFloorSetting): number {
  return parameters?.[PARAMETER_NAMES[name]] ?? Number.NaN
}
