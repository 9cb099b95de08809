/**
 * The repository of the primary Barman: which objects of a server it holds, and their content.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { shellQuote } from '../../host/shell-quote.ts'
import { isSegmentBytes } from '../../postgres/segment-name.ts'
import type { ServerIdentity } from '../../repository/cluster-repository.ts'
import { TarReader } from '../../postgres/tar/tar-reader.ts'
import {
  askPrimary,
  type PrimaryShell,
  readLinesOfPrimary,
  streamFromPrimary,
} from './primary-shell.ts'

/** Where the primary has a server's objects, as its sync-info says. */
export interface PrimaryPlace extends ServerIdentity {
  readonly repository: string
  readonly cluster: string
}

/** What is done with one object that comes: called in the order of the names. */
export interface ObjectTaker {
  begin(name: string, bytes: number): Promise<void>
  data(chunk: Buffer): Promise<void>
  end(): Promise<void>
}

/**
 * Asks the primary where.
 * @throws {BackstayError} HOST_COMMAND when it does not answer, or is no Backstay.
 */
export async function askPlace(
  shell: PrimaryShell,
  server: { readonly name: string; readonly configFile: string | undefined },
): Promise<PrimaryPlace> {
  const config = server.configFile === undefined ? '' : `-c ${shellQuote(server.configFile)} `
  const text = await askPrimary(shell, `barman ${config}sync-info ${shellQuote(server.name)}`)
  const place = parsePlace(text)
  if (place !== undefined) return place
  throw new BackstayError(
    'HOST_COMMAND',
    `Cannot copy server "${server.name}" from "${shell.command}": its answer names no repository of Backstay`,
    {
      hint: 'The primary has to run Backstay too. Take backups from here as well, or import a copy of its files.',
    },
  )
}

function parsePlace(text: string): PrimaryPlace | undefined {
  try {
    const { backstay } = JSON.parse(text) as { readonly backstay?: Partial<PrimaryPlace> }
    const { repository, cluster, systemIdentifier, major, segmentBytes } = backstay ?? {}
    if (typeof repository !== 'string' || typeof cluster !== 'string') return undefined
    if (typeof major !== 'number' || !Number.isSafeInteger(major)) return undefined
    // What it says is what files are measured by from then on.
    if (typeof segmentBytes !== 'number' || !isSegmentBytes(segmentBytes)) return undefined
    if (typeof systemIdentifier !== 'string' || !/^\d{1,20}$/.test(systemIdentifier))
      return undefined
    return { repository, cluster, systemIdentifier, major, segmentBytes }
  } catch {
    return undefined
  }
}

/** Of 64 TB of WAL. */
const MOST_OBJECTS = 4_000_000

/**
 * Names of all objects of WAL and backups that can be copied; names are relative to the repository.
 * @throws {BackstayError} HOST_COMMAND, also for more of them than a repository comes to.
 */
export async function listPrimary(
  shell: PrimaryShell,
  { repository, cluster }: PrimaryPlace,
): Promise<ReadonlySet<string>> {
  const folders = ['wal', 'packs', 'backups']
    .map((name) => shellQuote(`${cluster}/${name}`))
    .join(' ')
  const script = `cd ${shellQuote(repository)} && for d in ${folders}; do test ! -d "$d" || find "$d" -type f ! -name '.*' -print; done`
  const names = new Set<string>()
  await readLinesOfPrimary(shell, script, (name) => {
    if (!isObjectName(name, cluster)) return
    if (names.size >= MOST_OBJECTS) {
      throw new BackstayError(
        'HOST_COMMAND',
        `Cannot copy from "${shell.command}": it has more than ${MOST_OBJECTS} objects`,
      )
    }
    names.add(name)
  })
  return names
}

/** docs/repository-format.md §2, as far as another repository needs it. */
const COPIED = [
  String.raw`wal/[0-9A-F]{8}\.history\.zst`,
  String.raw`wal/[0-9A-F]{8}/[0-9A-F]{8}/[0-9A-F]{24}(?:\.[0-9A-F]{8}(?:\.backup|(?:-[0-9A-F]{16})?\.partial))?\.zst`,
  String.raw`packs/[A-Za-z0-9][A-Za-z0-9_-]{0,127}\.pack`,
  String.raw`backups/\d{8}T\d{6}/(?:backup\.json|keep\.json|manifest\.zst)`,
]
const IS_COPIED = new RegExp(`^(?:${COPIED.join('|')})$`)

/** Whoever runs the primary cannot make us write elsewhere, or keep what is none of an object. */
function isObjectName(name: string, cluster: string): boolean {
  return name.startsWith(`${cluster}/`) && IS_COPIED.test(name.slice(cluster.length + 1))
}

/**
 * Fetches objects in the order of `names`.
 * @throws {BackstayError} HOST_COMMAND when one is gone; what `taker` throws.
 */
export async function fetchObjects(
  shell: PrimaryShell,
  { place, names }: { readonly place: PrimaryPlace; readonly names: readonly string[] },
  taker: ObjectTaker,
): Promise<void> {
  if (names.length === 0) return
  const wanted = new Set(names)
  const script = `cd ${shellQuote(place.repository)} && exec tar --format=ustar --owner=0 --group=0 --no-recursion -cf - -T -`
  const reader = new TarReader({
    entry: ({ kind, path, sizeBytes }) => {
      if (kind === 'file' && wanted.delete(path)) return taker.begin(path, sizeBytes)
      throw new BackstayError('HOST_COMMAND', `Cannot copy "${path}": nobody asked for it`)
    },
    data: (chunk) => taker.data(chunk),
    endFile: () => taker.end(),
  })
  const input = names.map((name) => `${name}\n`).join('')
  for await (const chunk of streamFromPrimary(shell, script, input)) await reader.push(chunk)
  reader.finish()
  const [missing] = wanted
  if (missing === undefined) return
  throw new BackstayError('HOST_COMMAND', `Cannot copy "${missing}": the primary did not send it`)
}
