/**
 * Which PostgreSQL programs of a major version to use on a host: what the operator named, what a
 * package manager installed, or what came with npm.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { PostgresMajor } from '../postgres/version.ts'
import {
  type BinaryPlace,
  type BinarySource,
  type FoundBinaries,
  probeBinaries,
  REQUIRED_PROGRAMS,
  type ToolName,
  TOOLS,
} from './binaries-probe.ts'
import { copyEmbedded, hasMissingLibraries, linkLibraries } from './embedded-repair.ts'
import type { Host } from './host.ts'

/** A directory of PostgreSQL programs that works. */
export interface PostgresBinaries {
  /** Holds initdb, pg_ctl and postgres. */
  readonly directory: string
  readonly major: PostgresMajor
  /** For example `18.4`. */
  readonly version: string
  readonly source: BinarySource
  /** Absolute paths of the tools that are there. */
  readonly tools: Readonly<Partial<Record<ToolName, string>>>
}

/** What is looked for. */
export interface BinariesWanted {
  readonly major: PostgresMajor
  /** OS user that will run them; he must be able to reach them. */
  readonly user: string
  /** Only this directory counts when given. */
  readonly directory?: string | undefined
  /**
   * Program directories of embedded packages, judged (`embeddedDirectories`); only for the machine
   * Backstay runs on.
   */
  readonly embedded?: readonly string[]
  /**
   * Where an embedded package is copied when `user` cannot reach it (a checkout under /root); he
   * must be able to reach this one. Not copied when left out.
   */
  readonly copyEmbeddedTo?: string
}

/**
 * Finds the programs. Of several, the configured one wins, then Debian's, Red Hat's, those in PATH,
 * /usr/local/pgsql, and the embedded ones last. An embedded package whose library links npm did not
 * make gets them, when we may write there.
 * @throws BINARIES_MISSING naming everything that was found.
 */
export async function findBinaries(host: Host, wanted: BinariesWanted): Promise<PostgresBinaries> {
  const embedded = wanted.embedded ?? []
  const places = wanted.directory === undefined ? placesOf(embedded) : configured(wanted.directory)
  const probe = { user: wanted.user, usual: wanted.directory === undefined }
  let found = await probeBinaries(host, places, probe)
  if (await repairLinks(host, embedded, found)) found = await probeBinaries(host, places, probe)
  const chosen = chooseBinaries(found, wanted.major)
  if (chosen !== undefined) return chosen
  return copiedBinaries(host, wanted, found)
}

/** Every PostgreSQL on a host that `user` can reach, usable or not, in the order of preference. */
export async function listBinaries(
  host: Host,
  options: { readonly user: string; readonly embedded?: readonly string[] },
): Promise<readonly FoundBinaries[]> {
  return probeBinaries(host, placesOf(options.embedded ?? []), { user: options.user, usual: true })
}

/** The first of `found` that is complete and of the major version. */
export function chooseBinaries(
  found: readonly FoundBinaries[],
  major: PostgresMajor,
): PostgresBinaries | undefined {
  const chosen = found.find((item) => item.major === major && missingPrograms(item).length === 0)
  if (chosen?.version === undefined) return undefined
  const { directory, version, source } = chosen
  const tools = Object.entries(TOOLS)
    .filter(([, program]) => chosen.programs.has(program))
    .map(([name, program]) => [name, `${directory}/${program}`] as const)
  return { directory, major, version, source, tools: Object.fromEntries(tools) }
}

/**
 * Of `embedded` alone, which the caller has judged: what was found is the word of the OS user who
 * looked.
 */
async function repairLinks(
  host: Host,
  embedded: readonly string[],
  found: readonly FoundBinaries[],
): Promise<boolean> {
  let repaired = false
  for (const directory of embedded) {
    const isBroken = found.some(
      (item) => item.directory === directory && hasMissingLibraries(item.problem),
    )
    if (isBroken) repaired = (await linkLibraries(host, directory)) || repaired
  }
  return repaired
}

/**
 * The last resort: an embedded package that only the driver's own user can reach, copied to where
 * `wanted.user` can.
 */
async function copiedBinaries(
  host: Host,
  wanted: BinariesWanted,
  seen: readonly FoundBinaries[],
): Promise<PostgresBinaries> {
  const options = { user: host.user, usual: false }
  const places = wanted.directory === undefined ? placesOf(wanted.embedded ?? []) : []
  const hidden = places.length === 0 ? [] : await probeBinaries(host, places, options)
  const original = chooseBinaries(hidden, wanted.major)
  if (original !== undefined && wanted.copyEmbeddedTo !== undefined) {
    const directory = await copyEmbedded(host, original, wanted.copyEmbeddedTo)
    const copy = { source: 'embedded', directory } as const
    const found = await probeBinaries(host, [copy], { user: wanted.user, usual: false })
    const chosen = chooseBinaries(found, wanted.major)
    if (chosen !== undefined) return chosen
  }
  throw missing(host, wanted, [...seen, ...hiddenFrom(wanted.user, seen, hidden)])
}

function hiddenFrom(
  user: string,
  seen: readonly FoundBinaries[],
  found: readonly FoundBinaries[],
): FoundBinaries[] {
  const known = new Set(seen.map((item) => item.directory))
  const problem = `OS user "${user}" cannot reach it`
  return found.filter((item) => !known.has(item.directory)).map((item) => ({ ...item, problem }))
}

function placesOf(embedded: readonly string[]): readonly BinaryPlace[] {
  return embedded.map((directory) => ({ source: 'embedded', directory }))
}

function configured(directory: string): readonly BinaryPlace[] {
  return [{ source: 'configured', directory }]
}

function missingPrograms(found: FoundBinaries): readonly string[] {
  return REQUIRED_PROGRAMS.filter((program) => !found.programs.has(program))
}

function missing(
  host: Host,
  wanted: BinariesWanted,
  found: readonly FoundBinaries[],
): BackstayError {
  const where = wanted.directory === undefined ? '' : ` in "${wanted.directory}"`
  const list = found.length === 0 ? 'no other either' : found.map(describe).join(', ')
  return new BackstayError(
    'BINARIES_MISSING',
    `PostgreSQL ${wanted.major} was not found on "${host.name}"${where}; found: ${list}`,
    {
      hint:
        wanted.directory === undefined
          ? `Install PostgreSQL ${wanted.major} (Debian: postgresql-${wanted.major}, Red Hat: postgresql${wanted.major}-server), or set postgres.binaries in the cluster file.`
          : 'Correct postgres.binaries in the cluster file: a directory with initdb, pg_ctl and postgres.',
      details: {
        host: host.name,
        major: wanted.major,
        found: found.map(({ directory, version, source, problem }) => ({
          directory,
          version,
          source,
          problem,
        })),
      },
    },
  )
}

function describe(found: FoundBinaries): string {
  const lacking = missingPrograms(found)
  const problem =
    found.problem ?? (lacking.length === 0 ? undefined : `without ${lacking.join(', ')}`)
  const remark = problem === undefined ? '' : ` (${problem})`
  return `${found.version ?? 'something'} in "${found.directory}"${remark}`
}
