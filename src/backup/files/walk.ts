/**
 * What a backup has of a data directory, as BASE_BACKUP sends it: excluded are what a server makes
 * anew at its start, WAL, temporary and unlogged relations. Source: PostgreSQL
 * src/backend/backup/basebackup.c, sendDir.
 */
import { lstat, readlink, stat } from 'node:fs/promises'
import { CONTROL_FILE_PATH } from '../../postgres/control-file.ts'
import {
  isExcludedFromBackup,
  isUnloggedContent,
  parseRelationPath,
} from '../../postgres/relation-path.ts'
import { type DirectoryItem, filePath, pathOfBytes, readItems } from '../../util/byte-path.ts'
import { aboutDataFile, ifThere } from './about-file.ts'

/** Something in the data directory; a directory comes before what is in it. */
export type WalkedEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'file'; readonly path: string }

const MODE = 0o777
const TABLESPACES = 'pg_tblspc'
/** A tablespace's own directory, below it a database's: PostgreSQL goes no deeper. */
const DEPTH_MAX = 32

/** Which data directory is walked. */
export interface WalkedDirectory {
  /** Absolute. */
  readonly root: string
  /** What a tablespace has of this server: `PG_15_202209061`. */
  readonly tablespaceVersion: string
}

/** A tablespace that lies in it, or that it has a link to. */
export interface FoundTablespace {
  readonly oid: number
  /** Where the link leads; for one that lies in the data directory its path there. */
  readonly location: string
}

/**
 * Everything but pg_control, which has to be read when all else has been. What vanishes meanwhile
 * is left out, and so is what is neither file nor directory, nor a tablespace's link.
 * @throws {BackstayError} FAILED for what the system refuses
 */
export async function* walkDataDirectory(directory: WalkedDirectory): AsyncGenerator<WalkedEntry> {
  yield* walk({ directory, path: '', depth: 0 })
}

/**
 * The tablespaces of a data directory, by their oid.
 * @throws {BackstayError} FAILED for what the system refuses
 */
export async function findTablespaces(root: string): Promise<FoundTablespace[]> {
  const items = await aboutDataFile(TABLESPACES, async () => readItems(placeOf(root, TABLESPACES)))
  const found = items
    .filter(({ name }) => isOid(name))
    .map(async (item) => {
      const path = `${TABLESPACES}/${item.name}`
      const location = item.isSymbolicLink() ? await linkTarget(placeOf(root, path)) : path
      return location === undefined ? [] : [{ oid: Number(item.name), location }]
    })
  return (await Promise.all(found)).flat().sort((a, b) => a.oid - b.oid)
}

interface Visit {
  readonly directory: WalkedDirectory
  /** Relative to the data directory; empty for itself. */
  readonly path: string
  readonly depth: number
}

async function* walk(visit: Visit): AsyncGenerator<WalkedEntry> {
  const { directory, path, depth } = visit
  const items = await ifThere(path, async () => readItems(placeOf(directory.root, path)))
  if (items === undefined || depth > DEPTH_MAX) return
  const unlogged = unloggedOf(path, items)
  for (const item of items) {
    const below = path === '' ? item.name : `${path}/${item.name}`
    if (below === CONTROL_FILE_PATH || isExcludedFromBackup(below)) continue
    const relation = parseRelationPath(below)
    if (relation !== undefined && isUnloggedContent(relation, unlogged)) continue
    if (isOthersTablespace(directory, below)) continue
    yield* visitItem({ directory, path: below, depth: depth + 1 }, item)
  }
}

async function* visitItem(visit: Visit, item: DirectoryItem): AsyncGenerator<WalkedEntry> {
  const { directory, path } = visit
  const place = placeOf(directory.root, path)
  if (item.isFile()) yield { kind: 'file', path }
  const isLink = item.isSymbolicLink()
  if (isLink && path.startsWith(`${TABLESPACES}/`) && isOid(item.name)) {
    const target = await linkTarget(place)
    if (target === undefined) return
    yield { kind: 'link', path, target }
    yield* walk(visit)
    return
  }
  // The directory of WAL may be a link; a backup has it as a directory, without what is in it.
  if (!item.isDirectory() && !(isLink && path === 'pg_wal')) return
  const look = isLink ? stat : lstat
  const facts = await ifThere(path, async () => look(filePath(place)))
  if (facts === undefined) return
  yield { kind: 'directory', path, mode: facts.mode & MODE }
  yield* walk(visit)
}

/** Servers of other versions may share a tablespace's directory. */
function isOthersTablespace({ tablespaceVersion }: WalkedDirectory, path: string): boolean {
  const [first, , version, ...rest] = path.split('/')
  if (first !== TABLESPACES || version === undefined) return false
  return rest.length === 0 && version !== tablespaceVersion
}

function isOid(name: string): boolean {
  return /^\d+$/.test(name)
}

async function linkTarget(place: string): Promise<string | undefined> {
  const target = await ifThere(place, async () => readlink(filePath(place), { encoding: 'buffer' }))
  return target && pathOfBytes(target)
}

/** The relations of a directory that have an init fork. */
function unloggedOf(path: string, items: readonly DirectoryItem[]): ReadonlySet<string> {
  const relations = items.map(({ name }) =>
    parseRelationPath(path === '' ? name : `${path}/${name}`),
  )
  return new Set(relations.flatMap((each) => (each?.fork === 'init' ? [each.relation] : [])))
}

function placeOf(root: string, path: string): string {
  return path === '' ? root : `${root}/${path}`
}
