/**
 * What Backstay made of a cluster file, remembered for the day when the file has it no more. Pure.
 */
import type { BackupWanted, ClusterWanted, ServerWanted } from './wanted.ts'

/**
 * Servers and backup part as they stood in the file when they were made. Plain data, kept in the
 * state directory.
 */
export interface Made {
  readonly servers: readonly ServerWanted[]
  readonly backup?: BackupWanted | undefined
}

/** What was made and stands in the file no more. */
export type Left = Made

/** Before anything was made, and where nothing is remembered. */
export const NOTHING_MADE: Made = { servers: [] }

/**
 * With what is going to be made now; what the file has no more stays until it is forgotten.
 * Settings, which may hold secrets, are left out.
 */
export function withWanted(made: Made, { servers, backup }: ClusterWanted): Made {
  const now = servers.map((server) => ({ ...server, parameters: {} }))
  const others = made.servers.filter(({ name }) => now.every((server) => server.name !== name))
  return { servers: [...now, ...others], backup: leftBackup(made, backup) ?? backup }
}

/** What is left of it. */
export function leftOf(made: Made, { servers, backup }: ClusterWanted): Left {
  const left = made.servers.filter(({ name }) => servers.every((server) => server.name !== name))
  return { servers: left, backup: leftBackup(made, backup) }
}

/**
 * The one that was made, unless the file still has it, if by another name: unit, ways and slot are
 * called after the cluster.
 */
function leftBackup(
  { backup: made }: Made,
  backup: BackupWanted | undefined,
): BackupWanted | undefined {
  if (made === undefined || made.name === backup?.name) return undefined
  const isSame = made.host.address === backup?.host.address && made.repository === backup.repository
  return isSame ? undefined : made
}

/** Without a server, or the backup part, of this name. */
export function without(made: Made, name: string): Made {
  const { backup } = made
  return {
    servers: made.servers.filter((server) => server.name !== name),
    backup: backup?.name === name ? undefined : backup,
  }
}

/**
 * A server that is left, with the earlier names of it: a rename that stopped half-way leaves what
 * bears them.
 */
export function withEarlierNames(
  server: ServerWanted,
  { servers }: Left,
): readonly [ServerWanted, ...ServerWanted[]] {
  const isSame = (other: ServerWanted): boolean =>
    other.name !== server.name &&
    other.host.address === server.host.address &&
    other.directory === server.directory
  return [server, ...servers.filter(isSame)]
}

/** The server of the file that has the same data directory: the same server by another name. */
export function sameServer(
  { host, directory }: ServerWanted,
  { servers }: ClusterWanted,
): ServerWanted | undefined {
  return servers.find(
    (server) => server.host.address === host.address && server.directory === directory,
  )
}
