/**
 * Makes a server a service of its host: guard and unit, in force from the next start.
 */
import { GUARD_PATH, GUARD_TEXT } from '../../host/boot-guard.ts'
import { findRivals, holdRivals } from '../../host/rival-units.ts'
import { installUnit } from '../../host/systemd.ts'
import { unitTextWanted } from '../plan/unit-plan.ts'
import { type Act, serverOfStep } from './act-context.ts'

/** Writes both, and has systemd start the server at boot. */
export const writePostgresUnit: Act<'postgres-unit'> = async (context, step) => {
  const server = serverOfStep(context, step)
  const { host, osUser } = await context.machineOf(server)
  const { directory: programs } = await context.binariesOf(server)
  await host.makeDirectory(GUARD_PATH.slice(0, GUARD_PATH.lastIndexOf('/')), { mode: 0o755 })
  await host.writeFile(GUARD_PATH, GUARD_TEXT, { mode: 0o755, owner: 'root' })
  const text = unitTextWanted(context.wanted, server, { programs, osUser })
  const rivals = await findRivals(host, { directory: server.directory, osUser, unit: step.unit })
  await holdRivals(host, rivals, step.unit)
  await installUnit(host, step.unit, text)
}
