/**
 * What a server's configuration files say together: includes followed, the last line wins,
 * postgresql.auto.conf read last. Files are read through functions given by the caller (a Host has
 * them). A running server answers better: pg_settings. Source: PostgreSQL
 * src/backend/utils/misc/{guc-file.l,conffiles.c}.
 */
import { posix } from 'node:path'
import { includeKindOf } from '../../src/postgres/conf-file.ts'
import { type ConfDirectiveLine, scanConf } from '../../src/postgres/conf-scanner.ts'

/** How files are read; undefined means "not there". */
export interface ConfReader {
  readText(path: string): Promise<string | undefined>
  /** Names in a directory. */
  list(path: string): Promise<readonly string[] | undefined>
}

/** A setting and the line that decided it. */
export interface ConfSource {
  readonly name: string
  readonly value: string
  readonly file: string
  readonly line: number
}

/** A line PostgreSQL would refuse, or a file it would miss. */
export interface ConfProblem {
  readonly file: string
  readonly line: number
  readonly text: string
}

/** All settings by lower-case name, and what stands in the way of a start. */
export interface ConfTree {
  readonly settings: ReadonlyMap<string, ConfSource>
  readonly problems: readonly ConfProblem[]
}

const DEPTH_MAX = 10

interface Walk {
  readonly reader: ConfReader
  readonly settings: Map<string, ConfSource>
  readonly problems: ConfProblem[]
}

interface IncludePlace {
  readonly file: string
  readonly line: number
  readonly depth: number
}

/**
 * Reads `configFile`, everything it includes, and then postgresql.auto.conf of `dataDirectory`.
 * @throws what the reader throws; a syntax error is a problem in the result, not an exception.
 */
export async function readConfTree(
  reader: ConfReader,
  server: { readonly configFile: string; readonly dataDirectory: string },
): Promise<ConfTree> {
  const walk: Walk = { reader, settings: new Map(), problems: [] }
  const top = { file: server.configFile, line: 0, depth: 0 }
  await readFile(walk, server.configFile, { ...top, isOptional: false })
  const auto = posix.join(server.dataDirectory, 'postgresql.auto.conf')
  await readFile(walk, auto, { ...top, isOptional: true })
  return { settings: walk.settings, problems: walk.problems }
}

async function readFile(
  walk: Walk,
  file: string,
  from: IncludePlace & { isOptional: boolean },
): Promise<void> {
  const report = (text: string): void => {
    walk.problems.push({ file: from.file, line: from.line, text })
  }
  if (from.depth > DEPTH_MAX) return report(`includes are nested deeper than ${DEPTH_MAX}`)
  const text = await walk.reader.readText(file)
  if (text === undefined) return from.isOptional ? undefined : report(`file "${file}" is missing`)
  for (const line of scanConf(text)) {
    const place = { file, line: line.number, depth: from.depth + 1 }
    if (line.kind === 'problem') {
      walk.problems.push({ file, line: line.number, text: `syntax error at column ${line.column}` })
    }
    if (line.kind === 'directive') await applyDirective(walk, line, place)
  }
}

async function applyDirective(
  walk: Walk,
  line: ConfDirectiveLine,
  place: IncludePlace,
): Promise<void> {
  const kind = includeKindOf(line)
  if (kind === undefined) {
    const { name, value } = line
    walk.settings.set(name.toLowerCase(), { name, value, file: place.file, line: place.line })
    return
  }
  const path = posix.resolve(posix.dirname(place.file), line.value)
  if (kind !== 'include_dir') {
    return await readFile(walk, path, { ...place, isOptional: kind === 'include_if_exists' })
  }
  const names = await walk.reader.list(path)
  if (names === undefined) {
    walk.problems.push({ ...place, text: `directory "${path}" is missing` })
    return
  }
  for (const name of names.filter(isIncludable).sort()) {
    await readFile(walk, posix.join(path, name), { ...place, isOptional: false })
  }
}

function isIncludable(name: string): boolean {
  return name.endsWith('.conf') && !name.startsWith('.') && name.length > '.conf'.length
}
