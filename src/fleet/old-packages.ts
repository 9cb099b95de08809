/**
 * Removes versions of Backstay that nothing uses any more from a machine. Only directories with
 * names that Backstay gives.
 */
import { posix } from 'node:path'
import type { Host } from '../host/host.ts'
import { runChecked } from '../host/run-checked.ts'
import {
  COMPLETE_NAME,
  CURRENT_LINK,
  type PackagePlace,
  packagesFolderOf,
} from '../cluster/machine/service-source.ts'

/** `0.1.0-836c417d37` */
const VERSION = /^\d+\.\d+\.\d+[^/]*-[0-9a-f]{10}$/
/**
 * Prints the program of every process; those of kernel threads and of other users cannot be read.
 */
const PROGRAMS = 'for exe in /proc/[0-9]*/exe; do readlink "$exe"; done 2>/dev/null; true'
/** Half a package may be one that somebody else is shipping. */
const HALF_IS_LEFT_AFTER_MS = 86_400_000

/** A version that lies there. */
export interface PackageThere {
  readonly version: string
  /** When it arrived whole; undefined when it did not. */
  readonly completedAtMs: number | undefined
  /** When its directory last changed. */
  readonly modifiedAtMs: number
}

/** What decides which versions stay. */
export interface PackagesInUse {
  /** The version that was shipped now. */
  readonly wanted: string
  /** The one the link names. */
  readonly current: string | undefined
  /** Those a process runs from. */
  readonly running: readonly string[]
  readonly nowMs: number
}

/**
 * The versions to remove: all but those in use and the newest of the others, which is the one
 * before. Pure.
 */
export function packagesToRemove(
  there: readonly PackageThere[],
  { wanted, current, running, nowMs }: PackagesInUse,
): readonly string[] {
  const unused = there.filter(
    ({ version }) =>
      VERSION.test(version) &&
      version !== wanted &&
      version !== current &&
      !running.includes(version),
  )
  const isHalf = ({ completedAtMs }: PackageThere): boolean => completedAtMs === undefined
  const [, ...older] = unused
    .filter((one) => !isHalf(one))
    .toSorted((a, b) => (b.completedAtMs ?? 0) - (a.completedAtMs ?? 0))
  const left = unused.filter(
    (one) => isHalf(one) && nowMs - one.modifiedAtMs > HALF_IS_LEFT_AFTER_MS,
  )
  return [...older, ...left].map(({ version }) => version)
}

/** Looks and removes. @throws HOST_UNREACHABLE, HOST_COMMAND */
export async function removeOldPackages(
  host: Host,
  place: PackagePlace,
  nowMs: number,
): Promise<void> {
  const folder = packagesFolderOf(place)
  const names = ((await host.list(folder)) ?? []).filter((name) => VERSION.test(name))
  if (names.length < 3) return
  const [link, programs, ...there] = await Promise.all([
    host.inspect(CURRENT_LINK),
    runChecked(host, ['sh', '-c', PROGRAMS]),
    ...names.map(async (version) => lookAt(host, posix.join(folder, version), version)),
  ])
  const gone = packagesToRemove(there, {
    wanted: place.version,
    current: link?.target === undefined ? undefined : posix.basename(link.target),
    running: names.filter((name) => programs.stdout.includes(`/${name}/`)),
    nowMs,
  })
  for (const version of gone) await host.remove(posix.join(folder, version))
}

async function lookAt(host: Host, directory: string, version: string): Promise<PackageThere> {
  const [folder, complete] = await Promise.all([
    host.inspect(directory),
    host.inspect(posix.join(directory, COMPLETE_NAME)),
  ])
  return {
    version,
    completedAtMs: complete?.modifiedAtMs,
    modifiedAtMs: folder?.modifiedAtMs ?? 0,
  }
}
