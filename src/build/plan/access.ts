/**
 * The lines of our block in pg_hba.conf: a way in for Backstay, for the standbys, for the backup
 * server, and the operator's.
 */
import { isIP } from 'node:net'
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { isLoopback } from '../../cluster/settings.ts'

/** A way in for one role. */
interface RoleAccess {
  readonly role: string
  readonly databases: readonly ('all' | 'postgres' | 'replication')[]
}

/**
 * Lines in the order they are tried. Ours come first, so that no line of the operator can shut the
 * cluster out of itself; they name our roles only. On the machine itself the OS user who has the
 * superuser's name needs no password, as packages set it up (`sudo -u postgres psql`); Backstay
 * logs in over TCP then.
 * @param osUser runs PostgreSQL on that server.
 */
export function accessLines(wanted: ClusterWanted, osUser: string): readonly string[] {
  const { authentication: method, superuser } = wanted.postgres
  const places = placesOf(wanted)
  const lines = waysOf(wanted).flatMap(({ role, databases }) =>
    databases.flatMap((database) => [
      `local ${database} ${quote(role)} ${role === superuser && role === osUser ? 'peer' : method}`,
      ...places.map((place) => `host ${database} ${quote(role)} ${place} ${method}`),
    ]),
  )
  return [...lines, ...wanted.postgres.access.map((line) => line.trim())]
}

function waysOf(wanted: ClusterWanted): readonly RoleAccess[] {
  const { postgres, replication, backup } = wanted
  const ways: RoleAccess[] = [
    { role: postgres.superuser, databases: ['all', 'replication'] },
    { role: replication.role, databases: ['replication', 'postgres'] },
  ]
  if (backup !== undefined) {
    ways.push(
      { role: backup.backupRole, databases: ['postgres', 'replication'] },
      { role: backup.streamRole, databases: ['postgres', 'replication'] },
    )
  }
  return ways
}

/** The machine itself, and every other machine of the cluster file. */
function placesOf(wanted: ClusterWanted): readonly string[] {
  const addresses = [
    ...wanted.servers.map((server) => server.address),
    ...(wanted.backup === undefined ? [] : [wanted.backup.host.address]),
  ]
  const others = addresses.filter((address) => !isLoopback(address)).map(hostPattern)
  return [...new Set(['samehost', ...others])]
}

function hostPattern(address: string): string {
  const family = isIP(address)
  if (family === 0) return address
  return family === 4 ? `${address}/32` : `${address}/128`
}

/** Quoted so that no name can read as a keyword (`all`, `replication`, `+group`). */
function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
