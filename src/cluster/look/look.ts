/**
 * Looks at the whole cluster: all servers at once, each with bounded time. Changes nothing anywhere.
 */
import { SqlClient } from '../../wire/sql-client.ts'
import { findShortages, tablespaceTarget } from '../clone/clone-sink.ts'
import { type ClusterContext, factOf } from '../context.ts'
import type { ClusterFound, RoomFound, ServerFound } from '../found.ts'
import { findLeader, type MemberFound } from '../plan/leader.ts'
import { functionsOf, rolesWanted } from '../plan/roles.ts'
import type { ServerWanted } from '../wanted.ts'
import { adminConnection } from './connect.ts'
import { lookRepository } from './look-repository.ts'
import { lookServer } from './look-server.ts'
import { lookSizes, type RolesAsked } from './look-sql.ts'

/** WAL that a clone gathers while it starts. */
const CLONE_MARGIN_BYTES = 64 * 1024 * 1024
const SIZES_TIMEOUT_MS = 600_000
const NEEDS_CLONE = ['missing', 'empty', 'clone-unfinished', 'initdb-unfinished']

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
  const asked = { roles: rolesAsked(context, passwords), withBinaries: options.forPlan }
  const servers = await Promise.all(
    wanted.servers.map(async (server) => lookServer(context, server, asked)),
  )
  signal.throwIfAborted()
  const found = {
    identity: await state.readIdentity(),
    passwordRoles: [...passwords.keys()],
    servers,
    repository: options.forPlan ? await lookRepository(context) : undefined,
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

/** For servers that need a clone: whether it fits. Costs the primary a walk over its files, so only then. */
async function withRoom(context: ClusterContext, found: ClusterFound): Promise<ClusterFound> {
  const leader = findLeader(context.wanted, found)
  const needy = found.servers.filter(({ directory }) => NEEDS_CLONE.includes(directory.state))
  if (leader.kind !== 'found' || leader.server.sql === undefined || needy.length === 0) return found
  const primary = leader.server
  const sizes = await askSizes(context, primary)
  const servers = await Promise.all(
    found.servers.map(async (server) =>
      needy.includes(server)
        ? { ...server, room: await lookRoom(context, server, { primary, sizes }) }
        : server,
    ),
  )
  return { ...found, servers }
}

async function askSizes(
  context: ClusterContext,
  primary: MemberFound,
): Promise<ReadonlyMap<string, number>> {
  const server = serverOf(context, primary)
  await using sql = await SqlClient.connect({
    ...adminConnection(context, server, primary.running),
    statementTimeoutMs: SIZES_TIMEOUT_MS,
  })
  return await lookSizes(sql)
}

async function lookRoom(
  context: ClusterContext,
  found: ServerFound,
  place: { readonly primary: MemberFound; readonly sizes: ReadonlyMap<string, number> },
): Promise<RoomFound | undefined> {
  const server = serverOf(context, found)
  const { primary, sizes } = place
  const ours = found.directory.state === 'clone-unfinished' ? found.directory.tablespaces : []
  try {
    const { host } = await context.machineOf(server)
    const needs = [...sizes].map(([location, bytes]) => ({
      path: location === '' ? server.directory : tablespaceTarget(server, location),
      bytes: location === '' ? bytes + CLONE_MARGIN_BYTES : bytes,
    }))
    const locations = primary.sql?.tablespaces.map(({ location }) => location) ?? []
    const tablespaces = await Promise.all(
      locations.map(async (source) => {
        const target = tablespaceTarget(server, source)
        const names = (await host.list(target)) ?? []
        return { source, target, isOccupied: names.length > 0 && !ours.includes(target) }
      }),
    )
    // What an unfinished clone holds is given back before the next one: only the clone itself can judge then.
    const isRedone = found.directory.state === 'clone-unfinished'
    return { shortages: isRedone ? [] : await findShortages(host, needs), tablespaces }
  } catch (error) {
    factOf(error)
    return undefined
  }
}

function serverOf({ wanted }: ClusterContext, found: ServerFound): ServerWanted {
  return wanted.servers.find((server) => server.name === found.name) as ServerWanted
}
