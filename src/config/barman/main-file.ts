/**
 * Finds and reads the main file of Barman's configuration: who works, and where. It is all that
 * root reads before it becomes that user, so root obeys only a file that nobody else could have
 * written.
 */
import { join } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { readRegular } from '../../util/read-regular.ts'
import { type IniSections, type IniValue, readIni, sectionOf } from './ini.ts'
import { interpolate } from './interpolate.ts'
import { unquote } from './values.ts'

/** Where the configuration may be. */
export interface ConfigPlaces {
  /** `-c`. */
  readonly file: string | undefined
  /** BARMAN_CONFIG_FILE. */
  readonly environmentFile: string | undefined
  readonly home: string | undefined
  /** SUDO_UID: root obeys the files of the user who called sudo too. */
  readonly sudoUid?: string | undefined
}

/** What the main file says. */
export interface MainFile {
  readonly file: string
  readonly sections: IniSections
  /** Its section [barman]. */
  readonly main: ReadonlyMap<string, IniValue>
  readonly barmanHome: string
  readonly barmanUser: string
  /**
   * Whose files are obeyed besides those of who works; undefined when it was not root who read it,
   * and nothing is judged.
   */
  readonly trusted: ReadonlySet<number> | undefined
}

/** The section of Barman's own options; every other section is a server or a model. */
export const MAIN_SECTION = 'barman'

const WHAT = "Barman's configuration"
const NOWHERE = `Could not find any configuration file at default locations.
Check Barman's documentation for more help.`
/** Thousands of servers have room in it. */
const FILE_BYTES_MAX = 4 * 1024 * 1024

/**
 * Reads it and nothing else.
 * @throws {BackstayError} CONFIG_MISSING, CONFIG_INVALID, with what Barman says where it says
 * something; DIRECTORY_OWNER for root, when somebody else could have written it
 */
export async function readMainFile(places: ConfigPlaces): Promise<MainFile> {
  const trusted = await trustedByRoot(places.sudoUid)
  const { file, text } = await findMainFile(places, trusted)
  const sections: IniSections = new Map()
  readIni(text, file, sections)
  const main = sectionOf(sections, MAIN_SECTION)
  const barmanHome = globalText(main, 'barman_home')
  if (barmanHome === undefined) {
    const message = 'Parameter "barman_home" is required in [barman] section.'
    throw new BackstayError('CONFIG_INVALID', message)
  }
  const barmanUser = globalText(main, 'barman_user') ?? 'barman'
  return { file, sections, main, barmanHome, barmanUser, trusted }
}

async function trustedByRoot(
  sudoUid: string | undefined,
): Promise<ReadonlySet<number> | undefined> {
  if (process.getuid?.() !== 0) return undefined
  return (await import('../../util/trusted-path.ts')).trustedUids(0, sudoUid)
}

async function findMainFile(
  places: ConfigPlaces,
  trusted: ReadonlySet<number> | undefined,
): Promise<{ file: string; text: string }> {
  const named = places.file ?? places.environmentFile
  const own = places.home === undefined ? [] : [join(places.home, '.barman.conf')]
  const standard = [...own, '/etc/barman.conf', '/etc/barman/barman.conf']
  for (const file of named === undefined ? standard : [named]) {
    const text = await readConfigFile(file)
    if (text === undefined) continue
    if (trusted === undefined) return { file, text }
    await checkConfigFile(file, trusted)
    // What was read before it was judged may have been somebody else's.
    const judged = await readConfigFile(file)
    if (judged !== undefined) return { file, text: judged }
  }
  const text = named === undefined ? NOWHERE : `Configuration file '${named}' does not exist`
  throw new BackstayError('CONFIG_MISSING', text)
}

/**
 * Refuses a file or directory of the configuration that somebody else than `trusted` could have
 * written.
 * @throws {BackstayError} DIRECTORY_OWNER
 */
export async function checkConfigFile(path: string, trusted: ReadonlySet<number>): Promise<void> {
  // Loaded when it is root who asks: barman starts for every segment.
  const { checkTrusted } = await import('../trusted.ts')
  checkTrusted(path, WHAT, trusted)
}

/**
 * The text of one of the operator's files; undefined when it is not there.
 * @throws {BackstayError} CONFIG_INVALID
 */
export async function readConfigFile(file: string): Promise<string | undefined> {
  try {
    return (await readRegular(file, FILE_BYTES_MAX)).toString('utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new BackstayError('CONFIG_INVALID', `Cannot read "${file}": ${message}`, { cause: error })
  }
}

/**
 * An option of [barman], its references replaced; undefined when it is not set.
 * @throws {BackstayError} CONFIG_INVALID
 */
export function globalText(main: ReadonlyMap<string, IniValue>, key: string): string | undefined {
  const value = main.get(key)
  if (value === undefined) return undefined
  const lookup = (name: string): string | undefined => main.get(name)?.text
  const place = `"${key}" in "${value.file}" line ${value.line}`
  const text = unquote(interpolate(value.text, lookup, place))
  return text === '' || text === 'None' ? undefined : text
}
