/**
 * What keys of a cluster file mean for each other: one primary, no two servers in one place, paths
 * that can work. Single values are judged by schema.ts, settings by parameter-checks.ts.
 */
import { isAbsolute, normalize, relative } from 'node:path'
import { slotNameOf } from '../cluster/names.ts'
import { isLoopback } from '../cluster/settings.ts'
import { sslFindings } from './ssl-checks.ts'
import { findHbaProblems } from '../postgres/hba-file.ts'
import type { ConfigPath } from './document.ts'
import { ownPlaceFindings } from './own-places.ts'
import { parameterFindings } from './parameter-checks.ts'
import type { ConfigFinding } from './problems.ts'
import { ARCHIVE_TO_REPOSITORY, type ClusterSettings, type ServerSettings } from './settings.ts'
import { NAME_PATTERN, NAME_RULE } from './values.ts'

/**
 * Longest path of a Unix socket in bytes (sun_path without its end), and what PostgreSQL adds to
 * the directory.
 */
const SOCKET_PATH_BYTES = 107
const SOCKET_FILE = '/.s.PGSQL.65535'

type ServerEntry = readonly [name: string, server: ServerSettings]

/** Everything that does not fit together, settings included; the names of servers apart. */
export function findingsOf(settings: ClusterSettings): ConfigFinding[] {
  const servers: readonly ServerEntry[] = Object.entries(settings.servers)
  return [
    ...roleFindings(servers),
    ...sharedPlaces(servers),
    ...servers.flatMap(pathFindings),
    ...ownPlaceFindings(settings),
    ...sharedPathFindings(settings),
    ...accessFindings(settings),
    ...sslFindings(settings),
    ...synchronousFindings(settings),
    ...backupFindings(settings),
    ...barmanFindings(settings),
    ...archiveFindings(settings),
    ...cloneFindings(settings),
    ...parameterFindings(settings),
  ]
}

/** What is wrong with the names of servers alone. */
export function nameFindings(names: readonly string[]): ConfigFinding[] {
  const owners = new Map<string, string>()
  return names.flatMap((name) => {
    const slot = slotNameOf(name)
    const earlier = owners.get(slot)
    owners.set(slot, earlier ?? name)
    const shares =
      earlier === undefined
        ? undefined
        : `would share the replication slot "${slot}" with "${earlier}": rename one`
    const text = NAME_PATTERN.test(name) ? shares : NAME_RULE
    return text === undefined ? [] : [{ path: ['servers', name], text, atKey: true }]
  })
}

function roleFindings(servers: readonly ServerEntry[]): ConfigFinding[] {
  const [first, ...more] = servers.filter(([, server]) => server.role === 'primary')
  if (first === undefined) {
    return [
      { path: ['servers'], text: 'has no primary: give one server "role: primary"', atKey: true },
    ]
  }
  return more.map(([name]) => ({
    path: ['servers', name, 'role'],
    text: `makes a second primary: "${first[0]}" is one already`,
  }))
}

function sharedPlaces(servers: readonly ServerEntry[]): ConfigFinding[] {
  return [
    ...repeated(
      servers,
      ([, server]) => `${machineOf(server)}:${server.port}`,
      ([name], [other, { host, port }]) => ({
        path: ['servers', name, 'port'],
        text: `is taken: "${other}" listens on ${host}:${port} already`,
      }),
    ),
    ...repeated(
      servers,
      ([, server]) => `${machineOf(server)}:${server.directory}`,
      ([name], [other, { host, directory }]) => ({
        path: ['servers', name, 'directory'],
        text: `is taken: "${other}" has "${directory}" on ${host} already`,
      }),
    ),
  ]
}

/** The same text for every address of one machine, as far as the loader can know. */
function machineOf({ host, isLocal }: Pick<ServerSettings, 'host' | 'isLocal'>): string {
  return isLocal ? 'this machine' : host
}

/** One finding for every server whose key an earlier one has. */
function repeated(
  servers: readonly ServerEntry[],
  keyOf: (server: ServerEntry) => string,
  finding: (server: ServerEntry, earlier: ServerEntry) => ConfigFinding,
): ConfigFinding[] {
  const seen = new Map<string, ServerEntry>()
  return servers.flatMap((server) => {
    const earlier = seen.get(keyOf(server))
    if (earlier === undefined) seen.set(keyOf(server), server)
    return earlier === undefined ? [] : [finding(server, earlier)]
  })
}

function pathFindings([name, server]: ServerEntry): ConfigFinding[] {
  const socketPath = Buffer.byteLength(server.socketDirectory) + SOCKET_FILE.length
  const directories = ['directory', 'socketDirectory', 'configFile', 'hbaFile'] as const
  return [
    ...directories.flatMap((key) => absoluteFinding(['servers', name, key], server[key])),
    ...Object.entries(server.tablespaces).flatMap(([from, to]) => [
      ...absoluteFinding(['servers', name, 'tablespaces', from], from),
      ...absoluteFinding(['servers', name, 'tablespaces', from], to),
    ]),
    ...(socketPath <= SOCKET_PATH_BYTES
      ? []
      : [
          {
            path: ['servers', name, 'socketDirectory'],
            text: `is too long for a socket: "${server.socketDirectory}" may have ${SOCKET_PATH_BYTES - SOCKET_FILE.length} bytes`,
          },
        ]),
  ]
}

/** Paths that hold on every server. */
function sharedPathFindings({ postgres, replication }: ClusterSettings): ConfigFinding[] {
  return [
    ...absoluteFinding(['postgres', 'binaries'], postgres.binaries),
    ...postgres.tablespaceRoots.flatMap((root, index) => rootFinding(index, root)),
    ...(replication.archive === ARCHIVE_TO_REPOSITORY
      ? []
      : absoluteFinding(['replication', 'archive'], replication.archive)),
  ]
}

/** A root above everything would allow everything. */
function rootFinding(index: number, root: string): ConfigFinding[] {
  const path = ['postgres', 'tablespaceRoots', index]
  const isPlain = normalize(root) === root && root !== '/'
  if (isAbsolute(root) && isPlain) return []
  const text = `must be an absolute directory other than "/", without ".." and without a "/" at its end: found "${root}"`
  return [{ path, text }]
}

/** Paths on this machine are absolute by now. */
function absoluteFinding(path: ConfigPath, value: string | undefined): ConfigFinding[] {
  return value === undefined || isAbsolute(value)
    ? []
    : [{ path, text: `must start with "/" on another machine: found "${value}"` }]
}

function accessFindings({ postgres }: ClusterSettings): ConfigFinding[] {
  return findHbaProblems(postgres.access, postgres.version).map(({ index, field, problem }) => ({
    path: ['postgres', 'access', index],
    text: `is no pg_hba.conf line (${field}): ${problem}`,
  }))
}

function synchronousFindings({ servers, backup, replication }: ClusterSettings): ConfigFinding[] {
  const wanted = replication.synchronous?.standbys
  const standbyCount = Math.max(0, Object.keys(servers).length - 1)
  const there = standbyCount + (backup?.synchronous === true ? 1 : 0)
  if (wanted === undefined || wanted <= there) return []
  const text = `asks for ${wanted} confirmations: only ${there} can confirm, so every commit would wait for ever`
  return [{ path: ['replication', 'synchronous', 'standbys'], text }]
}

function backupFindings({ backup, servers }: ClusterSettings): ConfigFinding[] {
  if (backup === undefined) return []
  const server = servers[backup.server]
  if (backup.host === '') {
    const text = `must name one of the servers, or "host" must be given: found "${backup.server}"`
    return [{ path: ['backup', 'server'], text }]
  }
  if (server !== undefined && machineOf(server) !== machineOf(backup)) {
    const text = `must be left out: "${backup.server}" is one of the servers, on ${server.host}`
    return [{ path: ['backup', 'host'], text }]
  }
  const path = ['backup', 'repository']
  const overlapping = Object.entries(servers).filter(
    ([, other]) =>
      machineOf(other) === machineOf(backup) && overlap(other.directory, backup.repository),
  )
  return [
    ...absoluteFinding(path, backup.repository),
    ...overlapping.map(([name, { directory }]) => ({
      path,
      text: `and the data directory of "${name}" must lie apart: found "${backup.repository}" and "${directory}"`,
    })),
  ]
}

/** Words of Barman: a section `[barman]` is its own, and `all` names every server. */
const BARMAN_WORDS: readonly string[] = ['barman', 'all']

function barmanFindings({ cluster, backup }: ClusterSettings): ConfigFinding[] {
  if (backup?.barman !== true || !BARMAN_WORDS.includes(cluster)) return []
  const text = `cannot be "${cluster}" with "barman: true": that is a word of Barman's own`
  return [{ path: ['cluster'], text }]
}

/** What `replication.archive: backup` needs of the backup part. */
function archiveFindings({
  backup,
  postgres,
  replication,
  servers,
}: ClusterSettings): ConfigFinding[] {
  if (replication.archive !== ARCHIVE_TO_REPOSITORY) return []
  const path = ['replication', 'archive']
  if (backup === undefined) {
    return [{ path, text: 'says backup: there is no backup part. Add one, or name a directory' }]
  }
  const others = Object.entries(servers).filter(
    ([, server]) => machineOf(server) !== machineOf(backup),
  )
  const findings: ConfigFinding[] = []
  if (others.length < Object.keys(servers).length && backup.osUser !== postgres.osUser) {
    const text = `must be "${postgres.osUser}", as postgres.osUser: archive_command on the backup server's own machine stores as that user`
    findings.push({ path: ['backup', 'osUser'], text })
  }
  if (others.length > 0 && isLoopback(backup.address)) {
    const text = `must be one that the servers reach: "${backup.address}" is every machine's own`
    findings.push({ path: ['backup', 'address'], text })
  }
  const odd = others.filter(([, { directory }]) => /["\\]/.test(directory))
  return [
    ...findings,
    ...odd.map(([name]) => ({
      path: ['servers', name, 'directory'],
      text: 'must have no quotation mark or backslash: the ssh of archive_command could not name it',
    })),
  ]
}

/** A clone from a backup goes over ssh from the one machine to the other. */
function cloneFindings({ backup, servers }: ClusterSettings): ConfigFinding[] {
  const wishes = Object.entries(servers).filter(([, { cloneFrom }]) => cloneFrom === 'backup')
  return wishes.flatMap(([name, server]) => {
    const path = ['servers', name, 'cloneFrom']
    if (backup === undefined) return [{ path, text: 'says backup: there is no backup part' }]
    // The file is also read on the backup server, to which that is this machine.
    if (server.isLocal || server.host === backup.host) {
      const text =
        'says backup: that is for a server on another machine than this and the backup server'
      return [{ path, text }]
    }
    return isLoopback(backup.address)
      ? [
          {
            path,
            text: `says backup: "${backup.address}" leads nowhere from there; set backup.address`,
          },
        ]
      : []
  })
}

function overlap(one: string, other: string): boolean {
  return isInside(one, other) || isInside(other, one)
}

function isInside(path: string, directory: string): boolean {
  const way = relative(directory, path)
  return way === '' || !(way === '..' || way.startsWith('../'))
}
