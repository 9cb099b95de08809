/**
 * Installs PostgreSQL on a host that has none of the wanted major.
 */
import { userExists } from '../../host/os-user.ts'
import { installPackages, postgresPackages } from '../../host/packages.ts'
import { runChecked } from '../../host/run-checked.ts'
import { type Act, serverOfStep } from './act-context.ts'

/** Installs, and makes the OS user when the packages made another one. */
export const installStep: Act<'install'> = async (context, step) => {
  const server = serverOfStep(context, step)
  const { host, osUser } = await context.machineOf(server)
  const { wanted, signal } = context
  const packages = postgresPackages(step.manager, wanted.postgres.version)
  await installPackages(host, step.manager, { packages, signal })
  if (!(await userExists(host, osUser))) {
    await runChecked(host, ['useradd', '--system', '--shell', '/bin/sh', '--', osUser])
  }
  await context.binariesOf(server)
}
