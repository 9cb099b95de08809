/**
 * What another machine is given: this Backstay itself with the Node.js it runs on; a backup server
 * also the cluster file, and a unit of systemd. Made by whoever runs Backstay; the names under
 * which it lies there are here.
 */
import { posix } from 'node:path'
import { COMPLETE_NAME, CURRENT_NAME } from '../../util/lasting-path.ts'

/** A file of the package. */
export interface PackageFile {
  /** Relative to the package's directory there. */
  readonly path: string
  /** Absolute path here. */
  readonly source: string
  readonly mode: number
  readonly sizeBytes: number
}

/** The package and the texts that go with it. */
export interface ServiceSource {
  /** Names the directory there; another content has another version. */
  readonly version: string
  /** As `uname -m` says it: what the Node.js in it runs on. */
  readonly architecture: string
  readonly files: readonly PackageFile[]
  /** Where versions lie there. Default /opt/backstay. */
  readonly folder?: string
  /** The cluster file, as the operator wrote it. */
  readonly clusterFile: string
  /** The unit that runs `command serve` as `user`. */
  unitText(place: ServicePlace): string
}

/** What the unit depends on there. */
export interface ServicePlace {
  readonly command: readonly string[]
  readonly configFile: string
  readonly user: string
  readonly repository: string
}

const PACKAGES = '/opt/backstay'
/** Whichever version is in use. */
const CURRENT = `${PACKAGES}/${CURRENT_NAME}`

/** Written last into a package's directory: without it the package did not arrive whole. */
export { COMPLETE_NAME }

/** The link that names the version in use. */
export const CURRENT_LINK = CURRENT

/** So that people find the program there. */
export const PROGRAM_LINK = '/usr/local/bin/backstay'

/** Which version lies where. */
export type PackagePlace = Pick<ServiceSource, 'version' | 'folder'>

/** The folder in which each version has a directory. */
export function packagesFolderOf({ folder = PACKAGES }: PackagePlace): string {
  return folder
}

/** Where a version lies. */
export function packageDirectoryOf(place: PackagePlace): string {
  return posix.join(packagesFolderOf(place), place.version)
}

/** The command line of exactly this version there, without its own words. */
export function packageCommandOf(place: PackagePlace): readonly string[] {
  const directory = packageDirectoryOf(place)
  return [posix.join(directory, 'node'), posix.join(directory, 'bin/backstay.js')]
}

/** The command line of Backstay there, without its own words. */
export const SERVICE_COMMAND: readonly string[] = [`${CURRENT}/node`, `${CURRENT}/bin/backstay.js`]

/**
 * Of the cluster file there, which may hold secrets in settings and access lines: root's, read by
 * the service's group.
 */
export const SERVICE_FILE_MODE = 0o640

/** Where the cluster file lies there. */
export function serviceConfigOf(cluster: string): string {
  return `/etc/backstay/${cluster}.yaml`
}

/** The name of the systemd unit that serves the cluster there. */
export function serviceUnitOf(cluster: string): string {
  return `backstay-${cluster}.service`
}
