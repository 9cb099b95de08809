/**
 * Makes a standby from the newest backup: Backstay on its machine restores it, straight from the backup server.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { wantedServer } from '../plan/plan.ts'
import {
  getReadyThere,
  giveRestoreOrder,
  makeDirectoriesThere,
} from '../restore-there/give-order.ts'
import type { RestoreThereOrder } from '../restore-there/restore-order.ts'
import { removeUnfinishedClone } from '../clone/clone-mark.ts'
import { checkReachesPrimary } from '../clone/reach-primary.ts'
import type { ClusterContext } from '../context.ts'
import { CLONE_MARK_NAME } from '../names.ts'
import { SERVICE_COMMAND } from '../service/service-source.ts'
import { wayDirectoryOf, wayPaths } from '../way/way-files.ts'
import type { ServerWanted } from '../wanted.ts'
import { type Act, serverOfStep } from './act-context.ts'

/** Restores. What an interrupted one left is emptied by the next. @throws what a restore throws */
export const cloneFromBackup: Act<'clone-from-backup'> = async (context, step) => {
  const { backup } = context.wanted
  if (backup === undefined) throw new BackstayError('BUG', 'A clone from a missing backup part')
  const server = serverOfStep(context, step)
  const primary = wantedServer(context.wanted, step.source)
  // It will have to stream: better known before the restore than after it.
  await checkReachesPrimary(context, { server, primary })
  const { host } = await context.machineOf(server)
  const names = (await host.list(server.directory)) ?? []
  if (names.includes(CLONE_MARK_NAME)) await removeUnfinishedClone(host, server.directory)
  const program = await getReadyThere(context, backup, server)
  const { osUser: owner } = await context.machineOf(server)
  const { fetching } = wayPaths(wayDirectoryOf(server.directory))
  await host.writeFile(fetching, '', { mode: 0o600, owner })
  const mapped = Object.values(server.tablespaceMapping)
  await makeDirectoriesThere(context, server, [server.directory, ...mapped])
  let totalBytes: number | undefined
  await giveRestoreOrder(context, server, {
    program,
    order: orderOf(context, server, primary),
    hear: (told) => {
      if (told.told === 'plan') totalBytes = told.bytesToWrite
      if (told.told !== 'progress') return
      const doneBytes = told.bytes
      context.report({ kind: 'clone-progress', server: server.name, doneBytes, totalBytes })
    },
  })
}

function orderOf(
  { wanted }: ClusterContext,
  server: ServerWanted,
  primary: ServerWanted,
): RestoreThereOrder {
  return {
    cluster: wanted.name,
    way: wayDirectoryOf(server.directory),
    wish: {
      // The newest on the primary's own timeline.
      backup: 'auto',
      targetImmediate: false,
      exclusive: false,
      targetTli: 'latest',
      targetAction: 'pause',
      standbyMode: true,
    },
    directory: server.directory,
    tablespaces: { ...server.tablespaceMapping },
    isDelta: false,
    allowDataLoss: false,
    keepArchiving: true,
    isPlanOnly: false,
    startTimeoutMs: 0,
    program: [...SERVICE_COMMAND],
    standby: { wanted, server: server.name, primary: primary.name },
  }
}
