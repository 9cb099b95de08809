/**
 * The WAL files of a Barman server: what its archive holds, what waits to be archived, and what
 * xlog.db says of them. Only reads.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseWalFileName } from '../../postgres/segment-name.ts'
import { forEachBounded } from '../../util/bounded.ts'
import { type BarmanPlace, listOptional, unreadable } from './barman-place.ts'
import { readXlogdb, type Xlogdb } from './xlogdb.ts'

/** One file of WAL as it lies in Barman's archive. */
export interface BarmanWalFile {
  readonly name: string
  readonly path: string
  /** As it lies there. */
  readonly bytes: number
  /** Only the operator's own command unpacks it. */
  readonly isCustom: boolean
  readonly isEncrypted: boolean
}

/** All WAL of a server that can be taken over. */
export interface BarmanWal {
  /** In the order they are to be stored: histories, segments, labels, unfinished segments. */
  readonly files: readonly BarmanWalFile[]
  /** Names that xlog.db lists and no file has. */
  readonly missing: readonly string[]
}

/** Looked at together. */
const LOOKS_AT_ONCE = 16

const ORDER = ['history', 'segment', 'backup', 'partial']

/** @throws {BackstayError} HOST_PRIVILEGE, FAILED when something there cannot be read. */
export async function findBarmanWal(place: BarmanPlace): Promise<BarmanWal> {
  const paths = await pathsOf(place)
  const xlogdb = await readXlogdb(place, paths)
  const names = [...paths.keys()].filter((name) => !isOutdated(name, paths))
  const files: BarmanWalFile[] = []
  await forEachBounded(names, LOOKS_AT_ONCE, async (name) => {
    files.push(await describe(name, paths.get(name) ?? '', xlogdb))
  })
  return {
    files: files.sort((a, b) => rankOf(a.name) - rankOf(b.name) || (a.name < b.name ? -1 : 1)),
    missing: [...xlogdb.missing],
  }
}

/** Where each file is. The archive comes first; what is there is not looked for among what waits. */
async function pathsOf(place: BarmanPlace): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>()
  for (const directory of await directoriesOf(place)) {
    for (const name of await listOptional(directory)) {
      if (parseWalFileName(name) !== undefined && !paths.has(name)) {
        paths.set(name, join(directory, name))
      }
    }
  }
  return paths
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
  { encrypted, custom }: Xlogdb,
): Promise<BarmanWalFile> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  return {
    name,
    path,
    bytes: found.size,
    isCustom: custom.has(name),
    isEncrypted: encrypted.has(name),
  }
}

function rankOf(name: string): number {
  return ORDER.indexOf(parseWalFileName(name)?.kind ?? '')
}
