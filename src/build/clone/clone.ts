/**
 * Clones the primary into a standby's directory: by Backstay on the standby's machine, straight
 * from the primary, or by this process, which then passes every byte on when that machine is
 * another one.
 */
import type { ClusterContext } from '../../cluster/context.ts'
import { roleConnection } from '../../cluster/look/connect.ts'
import { packageThere } from '../../fleet/ensure-package.ts'
import type { CloneOrder } from './clone-order.ts'
import { cloneThere } from './clone-there.ts'
import { makeStandby } from './make-standby.ts'
import { checkReachesPrimary } from './reach-primary.ts'

/**
 * Clones. The directory must be missing, empty, or an unfinished clone (which is removed first).
 * A failure removes what was written; an interruption leaves it, marked.
 * @throws DISK_SPACE, DIRECTORY_FOREIGN before anything is written; what connection and host throw.
 */
export async function cloneStandby(context: ClusterContext, order: CloneOrder): Promise<void> {
  await checkReachesPrimary(context, order)
  if (order.isDirect !== true) return await cloneFromHere(context, order)
  const { server } = order
  const there = await packageThere(context, server)
  if (there.command !== undefined) return await cloneThere(context, order, there.command)
  const text = `${there.why}: every byte of the clone passes through this machine`
  context.report({ kind: 'note', server: server.name, text })
  await cloneFromHere(context, order)
}

async function cloneFromHere(
  context: ClusterContext,
  { server, primary }: CloneOrder,
): Promise<void> {
  const { wanted, signal, clock } = context
  const { host, osUser: owner } = await context.machineOf(server)
  await context.reach(primary)
  await makeStandby(
    { wanted, server, primary, owner },
    {
      host,
      connection: roleConnection(context, primary, wanted.replication.role),
      signal,
      clock,
      progress: (doneBytes, totalBytes) =>
        context.report({ kind: 'clone-progress', server: server.name, doneBytes, totalBytes }),
      crashPoint: async (name) => context.crashPoint(name),
    },
  )
}
