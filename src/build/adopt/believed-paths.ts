/**
 * Which of the paths a server names about itself go into the cluster file. Afterwards they count as
 * the operator's word, and root writes there; so a place is taken over only where the distribution
 * keeps data, configurations and sockets. Pure.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { shellQuote } from '../../host/shell-quote.ts'

/**
 * Debian's. Elsewhere the configuration lies in the data directory, or somebody chose the place and
 * can name it.
 */
const CONFIGURATIONS = '/etc/postgresql/'
/**
 * Where distributions, and PostgreSQL itself, put sockets. Any other directory `up` would make as
 * root and give to PostgreSQL's user.
 */
const SOCKETS = ['/run/postgresql', '/var/run/postgresql', '/tmp']
/**
 * Those of Debian and Red Hat for data, PostgreSQL's OS user's own. Any other `up` could be led to
 * make, and to give to him.
 */
const DATA = ['/var/lib/postgresql/', '/var/lib/pgsql/']

/** The paths to take over. */
export interface BelievedPaths {
  readonly directory: string
  readonly configFile?: string
  readonly hbaFile?: string
  /** Undefined when the server has no socket, or none in a place that is believed. */
  readonly socketDirectory: string | undefined
  /**
   * As the server names them, where there are several and all are believed: PGDG's default is two.
   */
  readonly socketDirectories?: string
}

/** Whether a data directory needs no word but the server's. */
export function isUsualData(directory: string): boolean {
  return isPlain(directory) && DATA.some((place) => directory.startsWith(place))
}

/**
 * @param settings what the server answers to SHOW.
 * @param isVouched of a data directory elsewhere: whether the operator named it, or it was seen
 * there.
 * @throws DIRECTORY_FOREIGN for a data directory that only the server speaks of.
 */
export function believedPaths(
  name: string,
  settings: ReadonlyMap<string, string>,
  isVouched: (directory: string) => boolean,
): BelievedPaths {
  const directory = settings.get('data_directory') ?? ''
  if (!isUsualData(directory) && !(isPlain(directory) && isVouched(directory))) {
    throw notBelieved(name, directory)
  }
  const believed = outside(settings).filter(({ path }) => isBelieved(path))
  const sockets = socketsOf(settings)
  const socketDirectory = sockets.find((path) => SOCKETS.includes(path))
  const areSeveral = sockets.length > 1 && sockets.every((path) => SOCKETS.includes(path))
  const all = areSeveral ? { socketDirectories: sockets.join(', ') } : {}
  const files = Object.fromEntries(believed.map(({ key, path }) => [key, path]))
  return { directory, ...files, socketDirectory, ...all }
}

function notBelieved(name: string, directory: string): BackstayError {
  const shown = JSON.stringify(directory)
  const option = isPlain(directory) ? `--data-directory ${shellQuote(directory)}` : undefined
  return new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot adopt "${name}": it says that its data directory is ${shown}, and nobody else says so`,
    {
      hint:
        option === undefined
          ? 'That is no place for one: is it the server it should be?'
          : `Look on its machine. If its data lies there, say so: ${option}. Otherwise it is not the server it should be.`,
      details: { server: name, directory },
    },
  )
}

/** What has to be said of the paths that are left out, one sentence each. */
export function notesOnPaths(name: string, settings: ReadonlyMap<string, string>): string[] {
  const files = outside(settings)
    .filter(({ path }) => !isBelieved(path))
    .map(
      ({ setting, key, path }) =>
        `"${name}" says that its ${setting} is ${JSON.stringify(path)}, which is written by root: if it is so, write servers.${name}.${key} into the cluster file`,
    )
  return [...files, ...notesOnSockets(name, socketsOf(settings))]
}

function notesOnSockets(name: string, sockets: readonly string[]): string[] {
  const [doubted] = sockets.filter((path) => !SOCKETS.includes(path))
  if (doubted === undefined) return []
  return [
    `"${name}" says that its socket is in ${JSON.stringify(doubted)}, which root would make: if it is so, write servers.${name}.socketDirectory into the cluster file; otherwise backstay up moves the socket, with a restart`,
  ]
}

function socketsOf(settings: ReadonlyMap<string, string>): string[] {
  const words = (settings.get('unix_socket_directories') ?? '').split(',')
  return words.map((word) => word.trim()).filter((word) => word !== '')
}

/** Settings, and the keys of the cluster file that stand for them. */
const FILES = [
  ['config_file', 'configFile'],
  ['hba_file', 'hbaFile'],
] as const

/** Those that do not lie in the data directory. */
function outside(settings: ReadonlyMap<string, string>) {
  const directory = settings.get('data_directory') ?? ''
  return FILES.flatMap(([setting, key]) => {
    const path = settings.get(setting) ?? ''
    return path === '' || path.startsWith(`${directory}/`) ? [] : [{ setting, key, path }]
  })
}

function isBelieved(path: string): boolean {
  return isPlain(path) && path.startsWith(CONFIGURATIONS)
}

function isPlain(path: string): boolean {
  return path.startsWith('/') && path !== '/' && posix.normalize(path) === path
}
