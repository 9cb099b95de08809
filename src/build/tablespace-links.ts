/**
 * The links in pg_tblspc of a data directory. PostgreSQL's OS user makes them, and can make others:
 * what they name is renamed or removed only where somebody else names it too, or as that user.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { Host } from '../host/host.ts'
import { placeTablespace, type TablespaceWishes } from '../postgres/tablespace-place.ts'
import type { Machine } from '../cluster/context.ts'
import type { ServerFound } from '../cluster/found.ts'
import type { ClusterWanted, ServerWanted } from '../cluster/wanted.ts'

/** A link out of a data directory. */
export interface DirectoryLink {
  readonly link: string
  /** Absolute. */
  readonly target: string
}

/** Whose links they are, and who else speaks of tablespaces. */
export interface TablespaceSpeakers {
  readonly wanted: ClusterWanted
  readonly server: ServerWanted
  readonly leader: ServerFound | undefined
}

/** All of them, but for those that lead to a place in the data directory itself. */
export async function tablespaceLinksOf(
  host: Host,
  directory: string,
): Promise<readonly DirectoryLink[]> {
  const folder = posix.join(directory, 'pg_tblspc')
  const links: DirectoryLink[] = []
  for (const name of (await host.list(folder)) ?? []) {
    const link = posix.join(folder, name)
    const target = (await host.inspect(link))?.target
    if (target?.startsWith('/') === true) links.push({ link, target })
  }
  return links
}

/**
 * @throws DIRECTORY_FOREIGN for one that leads to where neither the cluster file nor the primary
 * has a tablespace.
 */
export function refuseElsewhere(
  { link, target }: DirectoryLink,
  speakers: TablespaceSpeakers,
): void {
  const { server } = speakers
  const place = placeTablespace({ oid: 0, location: target }, wishesOf(speakers))
  if (place.kind !== 'refused') return
  throw new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot set the tablespaces of server "${server.name}" aside: "${link}" leads to "${target}", which ${place.why}`,
    {
      hint: `If a tablespace of yours lies there, name a directory above it in postgres.tablespaceRoots, or it in servers.${server.name}.tablespaces. If none does, remove the link: rm ${link}`,
      details: { server: server.name, link, target },
    },
  )
}

/**
 * Where the others of the cluster expect the primary's tablespaces is where a former primary has
 * them.
 */
function wishesOf({ wanted, server, leader }: TablespaceSpeakers): TablespaceWishes {
  const { servers, postgres } = wanted
  const expected = servers
    .filter(({ name }) => name !== server.name)
    .flatMap(({ tablespaceMapping }) => Object.keys(tablespaceMapping))
  const found = leader?.sql?.tablespaces.map(({ location }) => location) ?? []
  const mapped = servers
    .filter(({ name }) => name === server.name || name === leader?.name)
    .flatMap(({ tablespaceMapping }) => Object.values(tablespaceMapping))
  return {
    mapping: Object.fromEntries([...expected, ...found].map((path) => [path, path])),
    roots: [...(postgres.tablespaceRoots ?? []), ...mapped],
  }
}

/** Arguments: a directory. Says on standard output why its content cannot be removed. */
const MAY_EMPTY = `
why=$(stat -L -- "$1" 2>&1 >/dev/null) || case $why in
  *'No such file or directory') exit 0 ;;
  *) echo "$why"; exit 1 ;;
esac
[ ! -d "$1" ] || { [ -r "$1" ] && [ -w "$1" ] && [ -x "$1" ]; } || { echo 'Permission denied'; exit 1; }
`

/**
 * What the tablespaces of a data directory hold is removed as PostgreSQL's OS user: whether he may
 * is known before anything is stopped.
 * @throws DIRECTORY_OWNER with the link he could not empty
 */
export async function refuseUnremovable(
  { host, osUser: user }: Machine,
  { name, directory }: ServerWanted,
): Promise<void> {
  for (const { link, target } of await tablespaceLinksOf(host, directory)) {
    const { exitCode, stdout } = await host.run(['sh', '-c', MAY_EMPTY, 'sh', target], { user })
    if (exitCode === 0) continue
    throw new BackstayError(
      'DIRECTORY_OWNER',
      `Cannot remove server "${name}": its tablespace link "${link}" leads to "${target}", which "${user}" may not empty: ${stdout.trim()}`,
      {
        hint: `If a tablespace of yours lies there, give it to "${user}". If none does, remove the link: rm ${link}`,
        details: { server: name, link, target },
      },
    )
  }
}
