/**
 * Barman's whole configuration: the main file, the files beside it, what commands have written, the
 * servers. All but the first is read as the user who works: the rest may lie in that user's hands.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { type IniSections, type IniValue, readIni } from './ini.ts'
import {
  checkConfigFile,
  type ConfigPlaces,
  globalText,
  MAIN_SECTION,
  type MainFile,
  readConfigFile,
  readMainFile,
} from './main-file.ts'
import type { BarmanConfig, BarmanServer } from './model.ts'
import { GLOBAL_OPTIONS, SERVER_OPTIONS } from './options.ts'
import { SERVER_DIRECTORIES } from './server.ts'
import { makeServers } from './servers.ts'
import { autoFile, readState } from './state-files.ts'

/** What of the written state counts. */
export interface StateWish {
  /** Server → the model that is to be taken for active, whatever its file says. */
  readonly wishedModels?: ReadonlyMap<string, string | undefined>
  /**
   * What config-update and config-switch have written is passed over: barman's user could have
   * written it.
   */
  readonly isLeftOut?: boolean
}

/**
 * Main file and the rest, for who is that user already.
 * @throws {BackstayError} as the two parts
 */
export async function loadBarmanConfig(
  places: ConfigPlaces,
  wish: StateWish = {},
): Promise<BarmanConfig> {
  return await completeConfig(await readMainFile(places), wish)
}

/**
 * The rest. For who was root when the main file was read: after becoming the user.
 * @throws {BackstayError} CONFIG_INVALID; the message is what Barman says where it says something.
 * DIRECTORY_OWNER
 */
export async function completeConfig(from: MainFile, wish: StateWish = {}): Promise<BarmanConfig> {
  const { file, main, barmanHome, barmanUser } = from
  const sections: IniSections = new Map(
    [...from.sections].map(([name, own]) => [name, new Map(own)]),
  )
  await readMore(from, sections)
  if (wish.isLeftOut !== true) await readAutoFile(barmanHome, sections)
  const warnings: string[] = []
  warnUnknownGlobals(main, warnings)
  const locks = globalText(main, 'barman_lock_directory') ?? barmanHome
  const around = { sections, barmanHome, locks, ...wish }
  const { servers, models } = await makeServers(around, (text) => warnings.push(text))
  return {
    file,
    barmanHome,
    barmanUser,
    logFile: globalText(main, 'log_file'),
    logLevel: globalText(main, 'log_level') ?? 'INFO',
    servers,
    models,
    warnings,
    errors: conflictsBetween(servers),
  }
}

/**
 * The files of configuration_files_directory, in order of their names. An absent directory holds
 * none.
 */
async function readMore({ main, trusted }: MainFile, sections: IniSections): Promise<void> {
  const directory = globalText(main, 'configuration_files_directory')
  if (directory === undefined) return
  const check = async (path: string): Promise<void> => {
    if (trusted !== undefined) await checkConfigFile(path, withSelf(trusted))
  }
  const names = await namesIn(directory)
  if (names.length > 0) await check(directory)
  for (const name of names) {
    const file = join(directory, name)
    await check(file)
    const text = await readConfigFile(file)
    if (text === undefined) continue
    const own: IniSections = new Map()
    readIni(text, file, own)
    if ((own.get(MAIN_SECTION)?.size ?? 0) > 0) {
      const why = `contains a not empty [${MAIN_SECTION}] section`
      throw new BackstayError('CONFIG_INVALID', `the configuration file ${file} ${why}`)
    }
    readIni(text, file, sections)
  }
}

/** Who works may have written what works for him. */
function withSelf(trusted: ReadonlySet<number>): ReadonlySet<number> {
  return new Set([...trusted, process.getuid?.() ?? 0])
}

/** Not to be let in is no absence: without its files every server would be unknown. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => name.endsWith('.conf')).sort()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    const text = `Cannot read "${directory}": ${message}`
    throw new BackstayError('CONFIG_INVALID', text, { cause: error })
  }
}

/** What config-update has set; it is read last, so it wins. */
async function readAutoFile(barmanHome: string, sections: IniSections): Promise<void> {
  const file = autoFile(barmanHome)
  const text = await readState(file)
  if (text !== undefined) readIni(text, file, sections)
}

function warnUnknownGlobals(main: ReadonlyMap<string, IniValue>, warnings: string[]): void {
  for (const key of main.keys()) {
    if (GLOBAL_OPTIONS.has(key) || SERVER_OPTIONS.has(key)) continue
    warnings.push(`Invalid configuration option "${key}" in [${MAIN_SECTION}] section.`)
  }
}

/** Directories that two servers share. */
function conflictsBetween(servers: readonly BarmanServer[]): string[] {
  const owners = new Map<string, { server: string; key: string }>()
  const errors: string[] = []
  for (const { name, options } of servers) {
    for (const key of SERVER_DIRECTORIES) {
      const path = options.get(key)
      if (path === undefined) continue
      const owner = owners.get(path)
      if (owner === undefined) owners.set(path, { server: name, key })
      else if (owner.server !== name) {
        errors.push(
          `Conflicting path: ${key}=${path} for server '${name}' conflicts with ${owner.key} for server '${owner.server}'`,
        )
      }
    }
  }
  return errors
}
