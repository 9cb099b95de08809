/**
 * Where a restore puts things: the data directory and the directories of its tablespaces. Pure.
 */
import { isAbsolute, normalize, sep } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { placeTablespace } from '../postgres/tablespace-place.ts'
import type { BackupTablespace } from '../repository/backup-info.ts'

/** A tablespace with a directory of its own, and where it goes. */
export interface TablespaceTarget {
  readonly oid: number
  /** Where it was on the server. */
  readonly location: string
  /** Where it is restored to; absolute. */
  readonly directory: string
  /**
   * The operator named that directory; otherwise the backup did, and only PostgreSQL's OS user may
   * make it.
   */
  readonly isNamed: boolean
}

/** All places of one restore; absolute, normalized, none inside another. */
export interface RestoreLayout {
  readonly directory: string
  readonly tablespaces: readonly TablespaceTarget[]
  /** Tablespaces inside the data directory (16+): `pg_tblspc/<oid>`. */
  readonly inside: readonly string[]
  /**
   * Where WAL goes, with a link in its place; undefined: into the data directory. The operator
   * named it.
   */
  readonly walDirectory?: string
}

/** A directory elsewhere that the data directory has a link to. */
export interface LinkedPlace {
  /** Of the link, relative to the data directory. */
  readonly path: string
  readonly directory: string
  readonly isNamed: boolean
  /** For messages. */
  readonly what: string
  /** The option that puts it elsewhere. */
  readonly option: string
}

/** Everything that is written outside the data directory. */
export function linkedPlaces({ tablespaces, walDirectory }: RestoreLayout): LinkedPlace[] {
  const spaces = tablespaces.map(({ oid, directory, isNamed }) => ({
    path: `pg_tblspc/${oid}`,
    directory,
    isNamed,
    what: `tablespace ${oid}`,
    option: `--tablespace ${oid}:DIR`,
  }))
  if (walDirectory === undefined) return spaces
  const wal = { path: 'pg_wal', directory: walDirectory, isNamed: true, what: 'the WAL' }
  return [...spaces, { ...wal, option: '--wal-directory DIR' }]
}

/**
 * What the operator has said of tablespaces. A backup's own word makes no directory anything is
 * written to.
 */
export interface TablespaceWish {
  /**
   * Oid or old location → directory. `*`: a directory in which each other one gets one with its oid
   * as name.
   */
  readonly mapping: ReadonlyMap<string, string>
  /** Directories at or below which a tablespace goes where it was; `any`: wherever that is. */
  readonly roots: readonly string[] | 'any'
  /** Where pg_wal is to be; undefined: in the data directory. */
  readonly walDirectory?: string | undefined
}

/** Stands for all tablespaces in a mapping. */
const ALL = '*'

/**
 * Decides the places.
 * @throws {BackstayError} USAGE for a relative path, an unknown tablespace, or places inside each
 * other; DIRECTORY_FOREIGN for a tablespace of which only the backup says where it lies.
 */
export function layOut(
  directory: string,
  tablespaces: readonly BackupTablespace[],
  wish: TablespaceWish,
): RestoreLayout {
  const known = new Set([ALL, ...tablespaces.flatMap(keysOf)])
  const unknown = [...wish.mapping.keys()].find((key) => !known.has(key))
  if (unknown !== undefined) throw unknownTablespace(unknown, tablespaces)
  const inside = tablespaces.map(insideOf).filter((path) => path !== undefined)
  const places = tablespaces
    .filter((tablespace) => insideOf(tablespace) === undefined)
    .map((tablespace) => targetOf(tablespace, wish))
  const wal = wish.walDirectory === undefined ? {} : { walDirectory: clean(wish.walDirectory) }
  const layout = { directory: clean(directory), tablespaces: places, inside, ...wal }
  checkApart([layout.directory, ...linkedPlaces(layout).map((place) => place.directory)])
  return layout
}

function keysOf({ oid, location }: BackupTablespace): string[] {
  return [String(oid), location]
}

/** Its path in the data directory when it lies there. */
function insideOf({ oid, location }: BackupTablespace): string | undefined {
  return location === `pg_tblspc/${oid}` ? location : undefined
}

function targetOf(
  tablespace: BackupTablespace,
  { mapping, roots }: TablespaceWish,
): TablespaceTarget {
  const { oid, location } = tablespace
  const all = mapping.get(ALL)
  const given = keysOf(tablespace).flatMap((key) => mapping.get(key) ?? [])[0]
  const named = given ?? (all === undefined ? undefined : `${all}/${oid}`)
  if (named !== undefined) return { ...tablespace, directory: clean(named), isNamed: true }
  if (roots === 'any') return { ...tablespace, directory: clean(location), isNamed: false }
  const place = placeTablespace(tablespace, { mapping: {}, roots })
  if (place.kind === 'allowed') return { ...tablespace, directory: place.directory, isNamed: false }
  throw new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot restore tablespace ${oid}: the backup says that it lay in "${location}", and nobody else does`,
    {
      hint: `If it may be written there: --tablespace-root ${location}, or a directory above it in postgres.tablespaceRoots. Elsewhere: --tablespace ${oid}:DIR.`,
      details: { oid, location },
    },
  )
}

/**
 * Reads `--tablespace` options into a mapping: NAME:DIR, or OLD=NEW as pg_basebackup has it. A
 * backslash before one of them, or before a backslash, takes it literally; of several colons the
 * last one counts.
 * @throws {BackstayError} USAGE
 */
export function tablespaceMappingOf(options: readonly string[]): ReadonlyMap<string, string> {
  const mapping = new Map<string, string>()
  for (const option of options) {
    const plain = option.replaceAll(/\\[\s\S]/g, '\0\0')
    const equals = plain.indexOf('=')
    const at = equals < 0 ? plain.lastIndexOf(':') : equals
    const [from, to] = [option.slice(0, Math.max(0, at)), option.slice(at + 1)].map(unescaped)
    if (from === undefined || to === undefined || from === '' || to === '') {
      throw new BackstayError(
        'USAGE',
        `Cannot read "${option}" as a tablespace and its directory`,
        {
          hint: 'Write --tablespace 16384:/new/directory, with the oid, the old directory or * in front; \\: stands for a colon in a name.',
        },
      )
    }
    mapping.set(from, to)
  }
  return mapping
}

function unescaped(text: string): string {
  return text.replaceAll(/\\([:=,\\])/g, '$1')
}

function clean(path: string): string {
  const normal = normalize(path).replace(/(?<=.)\/+$/, '')
  if (isAbsolute(normal) && normal !== sep && !normal.includes('\0')) return normal
  throw new BackstayError('USAGE', `Cannot restore into "${path}": it is not an absolute path`)
}

function checkApart(paths: readonly string[]): void {
  for (const [index, path] of paths.entries()) {
    const other = paths.find((each, at) => at !== index && `${path}/`.startsWith(`${each}/`))
    if (other === undefined) continue
    throw new BackstayError(
      'USAGE',
      `Cannot restore into "${path}" and "${other}": one lies inside the other`,
      {
        hint: 'Give each tablespace a directory of its own with --tablespace OID:DIR, and the WAL one with --wal-directory.',
      },
    )
  }
}

function unknownTablespace(name: string, tablespaces: readonly BackupTablespace[]): BackstayError {
  const known = tablespaces.map(({ oid, location }) => `${oid} in "${location}"`).join(', ')
  return new BackstayError(
    'USAGE',
    `Cannot place tablespace "${name}": the backup has ${known === '' ? 'none' : known}`,
  )
}
