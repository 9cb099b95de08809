/**
 * Makes a standby from the newest backup: Backstay on its machine restores it, straight from the
 * backup server.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { getReadyThere, giveRestoreOrder, makeDirectoriesThere } from '../../fleet/give-order.ts'
import type { RestoreThereOrder } from '../../fleet/restore-order.ts'
import { removeUnfinishedClone } from '../../cluster/clone-mark.ts'
import { checkReachesPrimary } from '../clone/reach-primary.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import { CLONE_MARK_NAME } from '../../cluster/names.ts'
import { SERVICE_COMMAND } from '../../cluster/machine/service-source.ts'
import { wayDirectoryOf, wayPaths } from '../../cluster/machine/way-files.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { type Act, serverOfStep } from './act-context.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'

/** Until it streams it fetches the WAL after the backup. */
const HOLD_MS = 24 * 3_600_000

/** Restores. What an interrupted one left is emptied by the next. @throws what a restore throws */
export const cloneFromBackup: Act<'clone-from-backup'> = async (context, step) => {
  const { backup } = context.wanted
  if (backup === undefined) throw new BackstayError('BUG', 'A clone from a missing backup part')
  const server = serverOfStep(context, step)
  const primary = wantedServer(context.wanted, step.source)
  // It will have to stream: better known before the restore than after it.
  await checkReachesPrimary(context, { server, primary })
  const { host, osUser: owner } = await context.machineOf(server)
  const { directory } = server
  const names = (await host.list(directory)) ?? []
  if (names.includes(CLONE_MARK_NAME)) await removeUnfinishedClone(host, { directory, owner })
  const program = await getReadyThere(context, backup, server)
  const { fetching } = wayPaths(wayDirectoryOf(directory))
  await host.writeFile(fetching, '', { mode: 0o600, owner })
  const mapped = Object.values(server.tablespaceMapping)
  await makeDirectoriesThere(context, server, [directory, ...mapped])
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
    tablespaceRoots: [
      ...(wanted.postgres.tablespaceRoots ?? []),
      ...Object.values(primary.tablespaceMapping),
    ],
    isDelta: false,
    allowDataLoss: false,
    keepArchiving: true,
    isPlanOnly: false,
    startTimeoutMs: 0,
    holdForMs: HOLD_MS,
    program: [...SERVICE_COMMAND],
    standby: { wanted, server: server.name, primary: primary.name },
  }
}
