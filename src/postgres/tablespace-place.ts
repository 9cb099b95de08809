/**
 * Where a tablespace of somebody else's server may lie here. The server (or a backup of it) says a
 * location; only the operator's words make it a place that is written to. Pure.
 */
import { posix } from 'node:path'

/** What the operator has said. */
export interface TablespaceWishes {
  /** Location on the server → absolute directory here. */
  readonly mapping: Readonly<Record<string, string>>
  /** Absolute directories at or below which locations are taken as they are. */
  readonly roots: readonly string[]
}

/**
 * `inside`: in the data directory itself (in-place tablespaces, 16+), at that relative path.
 * `named`: the operator named that directory. `allowed`: the server's own location, below an
 * allowed root; only the OS user of PostgreSQL may make it. `refused`: it must not be written;
 * `why` completes “the location …”.
 */
export type TablespacePlace =
  | { readonly kind: 'inside'; readonly path: string }
  | { readonly kind: 'named' | 'allowed'; readonly directory: string }
  | { readonly kind: 'refused'; readonly why: string }

/** PostgreSQL's own directory in a tablespace: `PG_<major>_<catalogue version>`. */
const VERSION_DIRECTORY = /^PG_(\d+)_\d{9}$/

/** Decides where the tablespace `oid`, said to lie at `location`, goes. */
export function placeTablespace(
  { oid, location }: { readonly oid: number; readonly location: string },
  { mapping, roots }: TablespaceWishes,
): TablespacePlace {
  const inside = `pg_tblspc/${oid}`
  if (location === inside) return { kind: 'inside', path: inside }
  const named = Object.hasOwn(mapping, location) ? mapping[location] : undefined
  if (named !== undefined) return { kind: 'named', directory: named }
  if (!isPlainPath(location)) return refused('is no absolute path written plainly')
  if (roots.some((root) => isAtOrBelow(location, root))) {
    return { kind: 'allowed', directory: location }
  }
  return refused('is named nowhere in the cluster file')
}

/**
 * Whether `path`, relative to a tablespace, is one that PostgreSQL of that major writes there:
 * `PG_18_202506291` or something below it. Everything else in a tablespace's directory is not the
 * server's.
 */
export function isTablespaceContent(path: string, major: number): boolean {
  const parts = path.split('/')
  const [, found] = VERSION_DIRECTORY.exec(parts[0] ?? '') ?? []
  return found === String(major) && !parts.includes('..') && !path.includes('\0')
}

function isAtOrBelow(path: string, root: string): boolean {
  const plain = root.length > 1 ? root.replace(/\/+$/, '') : root
  return plain !== '/' && (path === plain || path.startsWith(`${plain}/`))
}

function isPlainPath(path: string): boolean {
  // oxlint-disable-next-line no-control-regex
  return posix.isAbsolute(path) && posix.resolve(path) === path && !/[\0-\x1f]/.test(path)
}

function refused(why: string): TablespacePlace {
  return { kind: 'refused', why }
}
