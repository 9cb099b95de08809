/**
 * Looks at the whole cluster: all servers at once, each with bounded time. Changes nothing
 * anywhere.
 */
import type { ClusterContext } from '../context.ts'
import type { ClusterFound, KeptFound, ServerFound } from '../found.ts'
import { type Left, leftOf } from '../made.ts'
import { functionsOf, rolesWanted } from '../wanted-roles.ts'
import { hasOwnUnit } from './own-unit.ts'
import type { ServerWanted } from '../wanted.ts'
import { lookBackupHost } from './look-backup-host.ts'
import { lookKept } from './look-kept.ts'
import { lookOwnService } from './look-own-service.ts'
import { lookNewestBackup, lookRepository } from './look-repository.ts'
import { lookServer } from './look-server.ts'
import { withPackages } from './look-packages.ts'
import { withRoom } from './look-room.ts'
import { lookClients } from './look-seat.ts'
import { lookFetching, lookWays } from './look-ways.ts'
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
  const passwords = await readPasswords(context)
  const asked = { roles: rolesAsked(context, passwords), forPlan: options.forPlan }
  const [servers, repository, backupHost, ownService, ways, clients, newestBackup, fetching, kept] =
    await Promise.all([
      Promise.all(wanted.servers.map(async (server) => lookServer(context, server, asked))),
      options.forPlan ? lookRepository(context) : undefined,
      options.forPlan ? lookBackupHost(context) : undefined,
      options.forPlan ? lookOwnService(context) : undefined,
      options.forPlan ? lookWays(context) : undefined,
      options.forPlan ? lookClients(context) : undefined,
      options.forPlan ? lookNewestBackup(context) : undefined,
      options.forPlan ? lookFetching(context, wanted.servers.filter(isFromBackup)) : [],
      options.forPlan ? lookKept(context) : new Map<string, KeptFound>(),
    ])
  signal.throwIfAborted()
  const made = options.forPlan ? await state.readMade() : undefined
  const left = made === undefined ? undefined : leftOf(made, wanted)
  const found = {
    left,
    hasLeftService: await hasLeftService(context, left),
    identity: await state.readIdentity(),
    lastPrimary: await state.readLeader(),
    passwordRoles: [...passwords.keys()],
    servers,
    repository,
    backupHost,
    ownService,
    ways,
    clients,
    newestBackup,
    fetching,
    kept,
  }
  return options.forPlan ? await withPackages(context, await withRoom(context, found)) : found
}

function isFromBackup({ clonesFromBackup }: ServerWanted): boolean {
  return clonesFromBackup === true
}

/**
 * The unit is called after the cluster: with a backup part on this machine it is the present one's.
 */
async function hasLeftService(context: ClusterContext, left: Left | undefined): Promise<boolean> {
  if (left?.backup?.host.local !== true || context.wanted.backup?.host.local === true) return false
  return await hasOwnUnit(context, left.backup)
}

/** Looks at one server as `lookCluster` does, and at nothing else. */
export async function lookOneServer(
  context: ClusterContext,
  server: ServerWanted,
): Promise<ServerFound> {
  const roles = rolesAsked(context, await readPasswords(context))
  const found = await lookServer(context, server, { roles, forPlan: false })
  context.signal.throwIfAborted()
  return found
}

async function readPasswords({
  wanted,
  state,
}: ClusterContext): Promise<ReadonlyMap<string, string>> {
  const roles = rolesWanted(wanted).map((role) => role.name)
  return await state.readPasswords([wanted.postgres.superuser, ...roles])
}

function rolesAsked(context: ClusterContext, passwords: ReadonlyMap<string, string>): RolesAsked {
  const wanted = rolesWanted(context.wanted)
  return {
    roles: new Map(wanted.map(({ name }) => [name, passwords.get(name)])),
    functions: functionsOf(wanted),
  }
}
