/**
 * Stops, or removes, the service on the backup server's machine. What runs on this machine without
 * a unit of ours is the operator's own process.
 */
import { removeUnit, stopUnit } from '../host/systemd.ts'
import { unitPathOf } from '../host/postgres-unit.ts'
import type { Host } from '../host/host.ts'
import { type ClusterContext, factOf } from '../cluster/context.ts'
import { type Problem, warning } from '../cluster/problem.ts'
import { hasOwnUnit } from '../cluster/look/own-unit.ts'
import { serviceConfigOf, serviceUnitOf } from '../cluster/machine/service-source.ts'

/**
 * Stops receiver and schedule there, and waits until what was received is stored.
 * @throws HOST_UNREACHABLE, HOST_COMMAND
 */
export async function stopBackupService(context: ClusterContext): Promise<void> {
  const { wanted } = context
  const host = await serviceHost(context)
  if (host === undefined) return
  const unit = serviceUnitOf(wanted.name)
  if ((await host.inspect(unitPathOf(unit))) !== undefined) await stopUnit(host, unit)
}

/**
 * Removes the service and the copy of the cluster file it was given. The repository and the package
 * stay: other clusters may use them.
 * @returns the unit, when there may have been one
 */
export async function removeBackupService(context: ClusterContext): Promise<string | undefined> {
  const { wanted } = context
  const host = await serviceHost(context)
  if (host === undefined) return undefined
  const unit = serviceUnitOf(wanted.name)
  await removeUnit(host, unit)
  // On this machine it has the operator's own file.
  if (wanted.backup?.host.local !== true) await host.remove(serviceConfigOf(wanted.name))
  return unit
}

/**
 * The same for `down`, where a backup server that does not answer is no reason to leave the servers
 * running.
 */
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
  if (backup === undefined) return undefined
  if (backup.host.local) return (await hasOwnUnit(context, backup)) ? context.home : undefined
  const { host, usesSystemd } = await context.machineOf(backup)
  return usesSystemd ? host : undefined
}
