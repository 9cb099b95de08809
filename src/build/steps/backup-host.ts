/**
 * Runs Backstay's service on the backup server's machine.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { runChecked } from '../../host/run-checked.ts'
import { installUnit, restartUnit } from '../../host/systemd.ts'
import type { ClusterContext, Machine } from '../../cluster/context.ts'
import {
  SERVICE_COMMAND,
  SERVICE_FILE_MODE,
  serviceConfigOf,
} from '../../cluster/machine/service-source.ts'
import type { BackupWanted } from '../../cluster/wanted.ts'
import type { Act } from './act-context.ts'

/** Makes the OS user that owns the repository. */
export const makeServiceUser: Act<'service-user'> = async (context, step) => {
  const { host } = await machineOf(context)
  const options = ['--system', '--user-group', '--no-create-home', '--shell', '/bin/sh']
  await runChecked(host, ['useradd', ...options, '--home-dir', step.home, '--', step.user])
}

/** Writes the cluster file. */
export const writeServiceFile: Act<'service-file'> = async (context, step) => {
  const { host, osUser: groupOf } = await machineOf(context)
  const { clusterFile } = await context.serviceSource()
  await host.makeDirectory(posix.dirname(step.path), { mode: 0o755 })
  await host.writeFile(step.path, clusterFile, { mode: SERVICE_FILE_MODE, groupOf })
}

/** Writes the unit and (re)starts the service. */
export const startService: Act<'service'> = async (context, step) => {
  const { name } = context.wanted
  const { host, osUser: user } = await machineOf(context)
  const source = await context.serviceSource()
  const { repository } = backupOf(context)
  const text = source.unitText({
    command: SERVICE_COMMAND,
    configFile: serviceConfigOf(name),
    user,
    repository,
  })
  await installUnit(host, step.unit, text)
  await restartUnit(host, step.unit)
}

async function machineOf(context: ClusterContext): Promise<Machine> {
  return await context.machineOf(backupOf(context))
}

function backupOf({ wanted }: ClusterContext): BackupWanted {
  if (wanted.backup !== undefined) return wanted.backup
  throw new BackstayError('BUG', 'A step for the backup server without a backup part')
}
