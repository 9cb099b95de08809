/**
 * What a reclone sets aside: a data directory, and the directories that its links lead to. The
 * links are PostgreSQL's OS user's own word: what they lead to is renamed and removed with no more
 * than his rights (host/own-directory.ts), a tablespace only where somebody else has one, too.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { replaceOwn, whyNotOwn } from '../host/own-directory.ts'
import type { ClusterContext, Machine } from '../cluster/context.ts'
import type { DirectoryFound } from '../cluster/found.ts'
import type { MemberFound } from '../cluster/leader.ts'
import { ASIDE_SUFFIX, removeAsidePath } from './remove-aside.ts'
import { refuseShared } from './shared-places.ts'
import { type DirectoryLink, refuseElsewhere, tablespaceLinksOf } from './tablespace-links.ts'
import { relinkWal, walLinkOf } from './wal-link.ts'
import type { ServerWanted } from '../cluster/wanted.ts'

/** A directory and where it is put. */
export interface Move {
  readonly from: string
  readonly to: string
  /** In the data directory, and leads to `from`; left out for the data directory itself. */
  readonly link?: string
  /** Whether the link is its pg_wal. */
  readonly isWal?: boolean
}

/**
 * The directory, which comes first, and those its links lead to. Nothing for what may be
 * overwritten anyway.
 */
export async function planAside(
  context: ClusterContext,
  server: ServerWanted,
  { state }: DirectoryFound,
): Promise<readonly Move[]> {
  if (state !== 'data' && state !== 'foreign') return []
  const stamp = new Date(context.clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const moveOf = (from: string): Move => ({ from, to: `${from}${ASIDE_SUFFIX}${stamp}` })
  const { directory } = server
  if (state === 'foreign') return [moveOf(directory)]
  const { host } = await context.machineOf(server)
  const links = new Map<string, DirectoryLink>()
  for (const each of await tablespaceLinksOf(host, directory)) {
    // A lost disk is no reason to keep a standby that cannot live without it.
    if ((await host.inspect(each.target)) !== undefined) links.set(each.target, each)
  }
  const tablespaces = [...links.values()].map(({ link, target }) => ({ ...moveOf(target), link }))
  const wal = await walLinkOf(host, directory)
  const moves = [moveOf(directory), ...tablespaces]
  if (wal === undefined) return moves
  return [...moves, { ...moveOf(wal), link: posix.join(directory, 'pg_wal'), isWal: true }]
}

/**
 * Refuses what must not, or cannot, be set aside.
 * @throws DIRECTORY_FOREIGN for a tablespace that nobody else speaks of, for a place that another
 * server has too, and for places inside each other; DIRECTORY_OWNER for a place that is not in the
 * hands of PostgreSQL's OS user
 */
export async function refuseOthersPlaces(
  context: ClusterContext,
  server: ServerWanted,
  { moves, leader }: { readonly moves: readonly Move[]; readonly leader: MemberFound | undefined },
): Promise<void> {
  const machine = await context.machineOf(server)
  const links = moves.flatMap(({ link, from: target }) =>
    link === undefined ? [] : [{ link, target }],
  )
  await refuseShared(context, server, links)
  for (const move of moves) {
    const { from: target, link, isWal } = move
    if (link === undefined) continue
    if (isWal !== true)
      refuseElsewhere({ link, target }, { wanted: context.wanted, server, leader })
    refuseNested(move, moves)
    await refuseOthers(machine, { link, target })
  }
}

function refuseNested({ from, link }: Move, moves: readonly Move[]): void {
  const isInside = (path: string, other: string): boolean => `${path}/`.startsWith(`${other}/`)
  const other = moves.find(
    (each) => each.link !== link && (isInside(from, each.from) || isInside(each.from, from)),
  )
  if (other === undefined) return
  throw new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot set "${from}" aside, to which "${link}" leads: that and "${other.from}" lie one inside the other`,
    { hint: 'Stop the server, move one of them elsewhere and point the link there.' },
  )
}

async function refuseOthers(
  { host, osUser: user }: Machine,
  { link, target }: DirectoryLink,
): Promise<void> {
  const why = await whyNotOwn(host, { path: target, user })
  if (why === undefined) return
  throw new BackstayError(
    'DIRECTORY_OWNER',
    `Cannot set "${target}" aside, to which "${link}" leads: it ${why}`,
    {
      hint: `It must be a directory of "${user}" in one that he may write, or below directories of root's that nobody else may write. If it is none of this server's, stop the server and remove the link: rm ${link}`,
      details: { link, target, user },
    },
  )
}

/**
 * Sets all of them aside; an empty directory takes the place of each that a link leads to.
 * @throws FAILED
 */
export async function setAside(
  context: ClusterContext,
  server: ServerWanted,
  moves: readonly Move[],
): Promise<void> {
  const { host, osUser: user } = await context.machineOf(server)
  const [directory = ''] = moves.map(({ to }) => to)
  for (const { from, to, link, isWal } of moves) {
    try {
      if (link === undefined) await host.rename(from, to)
      else await replaceOwn(host, { path: from, user }, to)
      if (isWal === true) await relinkWal(context, server, { directory, target: to })
    } catch (cause) {
      throw new BackstayError('FAILED', `Cannot set "${from}" aside as "${to}"`, {
        hint: 'A mount point cannot be renamed: move its content away yourself.',
        cause,
      })
    }
  }
}

/** Has `up` remove them when the new standby streams. */
export async function rememberAside(
  { state }: ClusterContext,
  server: ServerWanted,
  moves: readonly Move[],
): Promise<void> {
  const known = await state.readAsides(server.name)
  await state.writeAsides(server.name, [...known, ...moves.map(({ to }) => to)])
}

/** Removes what was set aside, and forgets it. */
export async function discardAside(
  context: ClusterContext,
  server: ServerWanted,
  moves: readonly Move[],
): Promise<void> {
  const machine = await context.machineOf(server)
  const gone = moves.map(({ to }) => to)
  for (const path of gone) await removeAsidePath(machine, server, path)
  const known = await context.state.readAsides(server.name)
  await context.state.writeAsides(
    server.name,
    known.filter((path) => !gone.includes(path)),
  )
}
