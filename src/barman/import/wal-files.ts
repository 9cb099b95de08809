/**
 * The WAL files of a Barman server: what its archive holds, what waits to be archived, and what
 * xlog.db says of them. Only reads.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseWalFileName } from '../../postgres/segment-name.ts'
import { type BarmanPlace, listOptional, readOptional, unreadable } from './barman-place.ts'

/** One file of WAL as it lies in Barman's archive. */
export interface BarmanWalFile {
  readonly name: string
  readonly path: string
  /** As it lies there. */
  readonly bytes: number
  /** `custom`: only the operator's own command unpacks it. */
  readonly compression: string | undefined
  readonly isEncrypted: boolean
}

/** All WAL of a server that can be taken over. */
export interface BarmanWal {
  /** In the order they are to be stored: histories, segments, labels, unfinished segments. */
  readonly files: readonly BarmanWalFile[]
  /** Names that xlog.db lists and no file has. */
  readonly missing: readonly string[]
}

interface XlogdbLine {
  readonly compression: string | undefined
  readonly isEncrypted: boolean
}

/** Some 70 bytes for each file: of 4 million, which are 64 TB. */
const XLOGDB_BYTES_MAX = 256 * 1024 * 1024

const ORDER = ['history', 'segment', 'backup', 'partial']

/** @throws {BackstayError} HOST_PRIVILEGE, FAILED when something there cannot be read. */
export async function findBarmanWal(place: BarmanPlace): Promise<BarmanWal> {
  const listed = await readXlogdb(place)
  const paths = new Map<string, string>()
  for (const directory of await directoriesOf(place)) {
    for (const name of await listOptional(directory)) {
      // The archive comes first; what is there is not looked for among what waits.
      if (parseWalFileName(name) !== undefined && !paths.has(name)) {
        paths.set(name, join(directory, name))
      }
    }
  }
  const names = [...paths.keys()].filter((name) => !isOutdated(name, paths))
  const files = await Promise.all(
    names.map(async (name) => describe(name, paths.get(name) ?? '', listed.get(name))),
  )
  return {
    files: files.sort((a, b) => rankOf(a.name) - rankOf(b.name) || (a.name < b.name ? -1 : 1)),
    missing: [...listed.keys()].filter((name) => !paths.has(name)),
  }
}

async function directoriesOf(place: BarmanPlace): Promise<string[]> {
  const folders = (await listOptional(place.wals)).filter((name) => /^[0-9A-F]{16}$/.test(name))
  const archive = folders.map((name) => join(place.wals, name))
  return [place.wals, ...archive, place.incoming, place.streaming]
}

/** An unfinished segment that is there whole as well. */
function isOutdated(name: string, paths: ReadonlyMap<string, string>): boolean {
  return name.endsWith('.partial') && paths.has(name.slice(0, -'.partial'.length))
}

async function describe(
  name: string,
  path: string,
  line: XlogdbLine | undefined,
): Promise<BarmanWalFile> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  return {
    name,
    path,
    bytes: found.size,
    compression: line?.compression,
    isEncrypted: line?.isEncrypted ?? false,
  }
}

function rankOf(name: string): number {
  return ORDER.indexOf(parseWalFileName(name)?.kind ?? '')
}

/** `name size mtime compression encryption`, separated by tabs; the last two may be missing. */
async function readXlogdb({ name, xlogdb }: BarmanPlace): Promise<ReadonlyMap<string, XlogdbLine>> {
  const text =
    (await readOptional(join(xlogdb, `${name}-xlog.db`), XLOGDB_BYTES_MAX)) ??
    (await readOptional(join(xlogdb, 'xlog.db'), XLOGDB_BYTES_MAX)) ??
    ''
  const lines = new Map<string, XlogdbLine>()
  for (const line of text.split('\n')) {
    const [file = '', , , compression, encryption] = line.split('\t')
    if (parseWalFileName(file) === undefined) continue
    lines.set(file, {
      compression: wordOf(compression),
      isEncrypted: wordOf(encryption) !== undefined,
    })
  }
  return lines
}

function wordOf(text: string | undefined): string | undefined {
  const word = text?.trim()
  return word === '' || word === 'None' ? undefined : word
}
