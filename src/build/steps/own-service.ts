/**
 * Runs Backstay's service on this machine.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { installUnit, restartUnit } from '../../host/systemd.ts'
import type { Act } from './act-context.ts'

/** Writes the unit and (re)starts the service. */
export const startOwnService: Act<'own-service'> = async (context, step) => {
  const { backup } = context.wanted
  const service = await context.ownService()
  if (backup === undefined || service === undefined) {
    throw new BackstayError('BUG', 'A step for the service of this machine, where none is made')
  }
  const { host, osUser: user } = await context.machineOf(backup)
  await installUnit(host, step.unit, service.unitText({ user, repository: backup.repository }))
  await restartUnit(host, step.unit)
}
