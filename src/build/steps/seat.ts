/**
 * Makes Barman's seat on the backup server's machine, and its clients on the database servers'.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { clientPackages, installPackages } from '../../host/packages.ts'
import { type ClusterContext, factOf, type Machine } from '../../cluster/context.ts'
import type { Act } from './act-context.ts'

/** Writes one of its files, for everybody to read: none holds a secret. */
export const writeSeatFile: Act<'seat-file'> = async (context, step) => {
  const { servers } = context.wanted
  const server = servers.find(({ name }) => name === step.server)
  const { host } = server === undefined ? await machineOf(context) : await context.machineOf(server)
  await host.makeDirectory(posix.dirname(step.path), { mode: 0o755 })
  await host.writeFile(step.path, step.content, { mode: step.mode })
}

/** Makes barman_home (0700), owned by the user who owns the repository. */
export const makeSeatHome: Act<'seat-home'> = async (context, step) => {
  const { host, osUser: owner } = await machineOf(context)
  await host.makeDirectory(step.path, { mode: 0o700, owner })
}

/** Installs psql there. The seat does without it: what keeps it away is only told. */
export const installPsql: Act<'seat-psql'> = async (context, step) => {
  const { host } = await machineOf(context)
  const { wanted, signal } = context
  const packages = clientPackages(step.manager, wanted.postgres.version)
  try {
    await installPackages(host, step.manager, { packages, signal })
  } catch (error) {
    signal.throwIfAborted()
    context.report({ kind: 'note', server: step.server ?? '', text: factOf(error).message })
  }
}

async function machineOf(context: ClusterContext): Promise<Machine> {
  const { backup } = context.wanted
  if (backup === undefined) throw new BackstayError('BUG', 'A seat without a backup part')
  return await context.machineOf(backup)
}
