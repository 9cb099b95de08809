/**
 * A machine that has nothing yet gets what `up` would install there first: PostgreSQL with its OS
 * user. A restore needs that user for its files, and whoever starts the server afterwards needs the
 * programs.
 */
import { decideOsUser } from '../host/os-user.ts'
import { takeStep } from './apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { lookBinaries } from '../cluster/look/look-server.ts'
import { lookPackageManager } from '../cluster/look/look-services.ts'
import { installSteps } from './plan/install-plan.ts'
import type { Step } from './plan/step.ts'
import { act } from './steps/acts.ts'
import type { ServerWanted } from '../cluster/wanted.ts'

/**
 * What would be installed; empty when PostgreSQL is there, or may not be installed.
 * @throws HOST_UNREACHABLE
 */
export async function installationOf(
  context: ClusterContext,
  server: ServerWanted,
): Promise<readonly Step[]> {
  const machine = await context.machineOf(server)
  const binaries = await lookBinaries(context, server)
  const packageManager = await lookPackageManager(context, machine, { server, binaries })
  return installSteps(context.wanted, [{ name: server.name, packageManager }])
}

/**
 * Installs it.
 * @throws HOST_PRIVILEGE when the OS user of PostgreSQL is still not there; what an installation
 * throws.
 */
export async function installWhereMissing(
  context: ClusterContext,
  server: ServerWanted,
): Promise<void> {
  for (const step of await installationOf(context, server)) {
    await takeStep(context, step, async () => act(context, step))
  }
  const { host } = await context.machineOf(server)
  await decideOsUser(host, { configured: context.wanted.postgres.osUser })
}
