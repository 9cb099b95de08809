/**
 * Stops, or removes, the service on the backup server's machine. Where the backup server is this machine its service is the
 * operator's own process.
 */
import { removeUnit, stopUnit } from '../../host/systemd.ts'
import { unitPathOf } from '../../host/postgres-unit.ts'
import type { Host } from '../../host/host.ts'
import { type ClusterContext, factOf } from '../context.ts'
import { type Problem, warning } from '../plan/problem.ts'
import { serviceConfigOf, serviceUnitOf } from './service-source.ts'

/** Stops receiver and schedule there, and waits until what was received is stored. @throws HOST_UNREACHABLE, HOST_COMMAND */
export async function stopBackupService(context: ClusterContext): Promise<void> {
  const { wanted } = context
  const host = await serviceHost(context)
  if (host === undefined) return
  const unit = serviceUnitOf(wanted.name)
  if ((await host.inspect(unitPathOf(unit))) !== undefined) await stopUnit(host, unit)
}

/** Removes the service and its cluster file. The repository and the package stay: other clusters may use them. */
export async function removeBackupService(context: ClusterContext): Promise<void> {
  const { wanted } = context
  const host = await serviceHost(context)
  if (host === undefined) return
  await removeUnit(host, serviceUnitOf(wanted.name))
  await host.remove(serviceConfigOf(wanted.name))
}

/** The same for `down`, where a backup server that does not answer is no reason to leave the servers running. */
export async function tryStopBackupService(context: ClusterContext): Promise<readonly Problem[]> {
  try {
    await stopBackupService(context)
    return []
  } catch (error) {
    const { code, message, hint } = factOf(error)
    const { name = '' } = context.wanted.backup ?? {}
    const text = `Cannot stop the service of backup server "${name}": ${message}`
    return [warning(name, { code, message: text, hint })]
  }
}

async function serviceHost(context: ClusterContext): Promise<Host | undefined> {
  const { backup } = context.wanted
  if (backup === undefined || backup.host.local) return undefined
  const { host, usesSystemd } = await context.machineOf(backup)
  return usesSystemd ? host : undefined
}
