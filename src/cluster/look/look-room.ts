/**
 * Whether a clone of the primary would fit where a standby is to be.
 */
import { directoryOfPlace, findShortages, tablespacePlaceOf } from '../clone-room.ts'
import { type ClusterContext, orElse } from '../context.ts'
import type { ClusterFound, RoomFound, ServerFound } from '../found.ts'
import { findLeader, type MemberFound } from '../leader.ts'
import { openSuperuserSql } from './connect.ts'
import { lookSizes } from './look-sql.ts'
import { wantedServer } from '../wanted-server.ts'

/** WAL that a clone gathers while it starts. */
const CLONE_MARGIN_BYTES = 64 * 1024 * 1024
const SIZES_TIMEOUT_MS = 600_000
const NEEDS_CLONE = ['missing', 'empty', 'clone-unfinished', 'initdb-unfinished']

/** Whether there is nothing in a server's directory that could become the standby. */
export function needsClone({ directory }: ServerFound): boolean {
  return NEEDS_CLONE.includes(directory.state)
}

/**
 * The found cluster with room for each server that needs a clone. Costs the primary a walk over its
 * files, so only then.
 */
export async function withRoom(
  context: ClusterContext,
  found: ClusterFound,
): Promise<ClusterFound> {
  const needy = found.servers.filter(needsClone)
  const source = needy.length === 0 ? undefined : await lookSource(context, found)
  if (source === undefined) return found
  const servers = await Promise.all(
    found.servers.map(async (server) =>
      needy.includes(server)
        ? { ...server, room: await lookRoom(context, server, source) }
        : server,
    ),
  )
  return { ...found, servers }
}

/** Room for one server, whatever lies there now; undefined when the primary cannot be asked. */
export async function lookRoomFor(
  context: ClusterContext,
  found: ClusterFound,
  server: ServerFound,
): Promise<RoomFound | undefined> {
  const source = await lookSource(context, found)
  return source === undefined ? undefined : await lookRoom(context, server, source)
}

/** What would be cloned. */
interface CloneSource {
  readonly primary: MemberFound
  /** Bytes under '' for the data directory, else by the tablespace's location. */
  readonly sizes: ReadonlyMap<string, number>
}

async function lookSource(
  context: ClusterContext,
  found: ClusterFound,
): Promise<CloneSource | undefined> {
  const leader = findLeader(context.wanted, found)
  if (leader.kind !== 'found' || leader.server.sql === undefined) return undefined
  const primary = leader.server
  const server = wantedServer(context.wanted, primary.name)
  return await orElse(async () => {
    const { running: listening } = primary
    const options = { listening, statementTimeoutMs: SIZES_TIMEOUT_MS }
    await using sql = await openSuperuserSql(context, server, options)
    return { primary, sizes: await lookSizes(sql) }
  }, undefined)
}

/** Whether the primary fits where `found` is. */
async function lookRoom(
  context: ClusterContext,
  found: ServerFound,
  { primary, sizes }: CloneSource,
): Promise<RoomFound | undefined> {
  const server = wantedServer(context.wanted, found.name)
  const ours = found.directory.state === 'clone-unfinished' ? found.directory.tablespaces : []
  const source = wantedServer(context.wanted, primary.name)
  const places = (primary.sql?.tablespaces ?? []).map((tablespace) => ({
    source: tablespace.location,
    place: tablespacePlaceOf({ wanted: context.wanted, server, primary: source }, tablespace),
  }))
  const directoryOf = (location: string): string => {
    const known = places.find((each) => each.source === location)
    return (known && directoryOfPlace(server, known.place)) ?? server.directory
  }
  return await orElse(async () => {
    const { host } = await context.machineOf(server)
    const needs = [...sizes].map(([location, bytes]) => ({
      path: directoryOf(location),
      bytes: location === '' ? bytes + CLONE_MARGIN_BYTES : bytes,
    }))
    const tablespaces = await Promise.all(
      places.map(async ({ source, place }) => {
        if (place.kind === 'refused')
          return { source, target: '', isOccupied: false, why: place.why }
        const target = directoryOf(source)
        const names = place.kind === 'inside' ? [] : ((await host.list(target)) ?? [])
        return { source, target, isOccupied: names.length > 0 && !ours.includes(target) }
      }),
    )
    // What an unfinished clone holds is given back before the next one: only the clone itself can
    // judge then.
    const isRedone = found.directory.state === 'clone-unfinished'
    return { shortages: isRedone ? [] : await findShortages(host, needs), tablespaces }
  }, undefined)
}
