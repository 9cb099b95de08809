/**
 * Places that root runs programs from, or obeys: Backstay's own and the system's. A directory of
 * the cluster file is given to another OS user, and so must be none of them, nothing in one of
 * them, and nothing with one of them inside.
 */
import { posix } from 'node:path'
import type { ConfigPath } from './document.ts'
import type { ConfigFinding } from './problems.ts'
import { ARCHIVE_TO_REPOSITORY, type ClusterSettings } from './settings.ts'

const OWN_PLACES = [
  '/bin',
  '/boot',
  '/etc/backstay',
  '/etc/barman.conf',
  '/etc/barman',
  '/etc/systemd',
  '/lib',
  '/opt/backstay',
  '/root/.ssh',
  '/run/backstay-permits',
  '/run/systemd',
  '/sbin',
  '/usr/bin',
  '/usr/lib/systemd',
  '/usr/local/bin',
  '/usr/local/lib/backstay',
  '/usr/local/sbin',
  '/usr/sbin',
  '/var/lib/backstay-postgres',
] as const

/**
 * The place that `path` (absolute) is, lies in or lies around; undefined for every other path. By
 * name: links are judged where they lie.
 */
function ownPlaceOf(path: string): string | undefined {
  const plain = posix.resolve(path).replace(/^\/var\/run(?=\/|$)/, '/run')
  return OWN_PLACES.find((place) => isAtOrBelow(plain, place) || isAtOrBelow(place, plain))
}

/** Whether `path` is `root` or lies below it; both plain. */
function isAtOrBelow(path: string, root: string): boolean {
  return path === root || root === '/' || path.startsWith(`${root}/`)
}

/**
 * One for each directory or file of a server or the backup server that would have to do with one of
 * them.
 */
export function ownPlaceFindings(settings: ClusterSettings): ConfigFinding[] {
  return namedPaths(settings).flatMap(([path, value]) => {
    const place = value === undefined ? undefined : ownPlaceOf(value)
    if (place === undefined) return []
    const text = `must have nothing to do with "${place}", from which root runs or obeys what it finds: found "${value ?? ''}"`
    return [{ path, text }]
  })
}

function namedPaths(settings: ClusterSettings): (readonly [ConfigPath, string | undefined])[] {
  const { postgres, replication, backup, servers, stateDirectory } = settings
  const keys = ['directory', 'configFile', 'hbaFile'] as const
  const archive = replication.archive === ARCHIVE_TO_REPOSITORY ? undefined : replication.archive
  return [
    ...Object.entries(servers).flatMap(([name, server]) => {
      const at = ['servers', name]
      // The default of who is not root, beside the cluster file wherever that lies: nothing is made
      // there for another user.
      const isDefault = server.socketDirectory === `${stateDirectory}/sockets`
      return [
        ...keys.map((key) => [[...at, key], server[key]] as const),
        [[...at, 'socketDirectory'], isDefault ? undefined : server.socketDirectory] as const,
        ...Object.entries(server.tablespaces).map(
          ([from, to]) => [[...at, 'tablespaces', from], to] as const,
        ),
      ]
    }),
    ...postgres.tablespaceRoots.map(
      (root, at) => [['postgres', 'tablespaceRoots', at], root] as const,
    ),
    [['replication', 'archive'], archive],
    [['backup', 'repository'], backup?.repository],
  ]
}
