/**
 * Where a restore puts things: the data directory and the directories of its tablespaces. Pure.
 */
import { isAbsolute, normalize, sep } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { BackupTablespace } from '../repository/backup-info.ts'

/** A tablespace and where it goes. */
export interface TablespacePlace {
  readonly oid: number
  /** Where it was on the server. */
  readonly location: string
  /** Where it is restored to; absolute. */
  readonly directory: string
}

/** All places of one restore; absolute, normalized, none inside another. */
export interface RestoreLayout {
  readonly directory: string
  readonly tablespaces: readonly TablespacePlace[]
}

/**
 * Decides the places. `mapping`: oid or old location → directory; a tablespace that is not in it goes where it was.
 * @throws {BackstayError} USAGE for a relative path, an unknown tablespace, or places inside each other.
 */
export function layOut(
  directory: string,
  tablespaces: readonly BackupTablespace[],
  mapping: ReadonlyMap<string, string>,
): RestoreLayout {
  const keysOf = (tablespace: BackupTablespace): string[] => [
    String(tablespace.oid),
    tablespace.location,
  ]
  const known = new Set(tablespaces.flatMap(keysOf))
  const unknown = [...mapping.keys()].find((key) => !known.has(key))
  if (unknown !== undefined) throw unknownTablespace(unknown, tablespaces)
  const places = tablespaces.map((tablespace) => {
    const mapped = keysOf(tablespace).flatMap((key) => mapping.get(key) ?? [])[0]
    return { ...tablespace, directory: clean(mapped ?? tablespace.location) }
  })
  const layout = { directory: clean(directory), tablespaces: places }
  checkApart([layout.directory, ...places.map((place) => place.directory)])
  return layout
}

/** Reads `--tablespace NAME:DIR` options into a mapping. @throws {BackstayError} USAGE */
export function tablespaceMappingOf(options: readonly string[]): ReadonlyMap<string, string> {
  const mapping = new Map<string, string>()
  for (const option of options) {
    const at = option.lastIndexOf(':')
    const [from, to] = [option.slice(0, Math.max(0, at)), option.slice(at + 1)]
    if (from === '' || to === '') {
      throw new BackstayError(
        'USAGE',
        `Cannot read "${option}" as a tablespace and its directory`,
        {
          hint: 'Write --tablespace 16384:/new/directory, with the oid or the old directory in front.',
        },
      )
    }
    mapping.set(from, to)
  }
  return mapping
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
      { hint: 'Give each tablespace a directory of its own with --tablespace OID:DIR.' },
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
