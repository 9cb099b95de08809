/**
 * Looks at the whole cluster: all servers at once, each with bounded time. Changes nothing anywhere.
 */
import type { ClusterContext } from '../context.ts'
import type { ClusterFound } from '../found.ts'
import { functionsOf, rolesWanted } from '../plan/roles.ts'
import { lookBackupHost } from './look-backup-host.ts'
import { lookRepository } from './look-repository.ts'
import { lookServer } from './look-server.ts'
import { withRoom } from './look-room.ts'
import type { RolesAsked } from './look-sql.ts'

/** How much is looked at. */
export interface LookOptions {
  /** For a plan: also where programs are, and whether clones would fit. */
  readonly forPlan: boolean
}

/** Looks. @throws only for bugs, interruption and an unreadable state directory. */
export async function lookCluster(
  context: ClusterContext,
  options: LookOptions,
): Promise<ClusterFound> {
  const { wanted, state, signal } = context
  const passwords = await state.readPasswords([
    wanted.postgres.superuser,
    ...rolesWanted(wanted).map((role) => role.name),
  ])
  const asked = { roles: rolesAsked(context, passwords), forPlan: options.forPlan }
  const [servers, repository, backupHost] = await Promise.all([
    Promise.all(wanted.servers.map(async (server) => lookServer(context, server, asked))),
    options.forPlan ? lookRepository(context) : undefined,
    options.forPlan ? lookBackupHost(context) : undefined,
  ])
  signal.throwIfAborted()
  const found = {
    identity: await state.readIdentity(),
    passwordRoles: [...passwords.keys()],
    servers,
    repository,
    backupHost,
  }
  return options.forPlan ? await withRoom(context, found) : found
}

function rolesAsked(context: ClusterContext, passwords: ReadonlyMap<string, string>): RolesAsked {
  const wanted = rolesWanted(context.wanted)
  return {
    roles: new Map(wanted.map(({ name }) => [name, passwords.get(name)])),
    functions: functionsOf(wanted),
  }
}
