/**
 * Finds and reads Barman's configuration: the main file, the files beside it, the servers.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { type IniSections, type IniValue, readIni } from './ini.ts'
import { interpolate } from './interpolate.ts'
import type { BarmanConfig, BarmanServer } from './model.ts'
import { GLOBAL_OPTIONS, SERVER_OPTIONS } from './options.ts'
import { SERVER_DIRECTORIES } from './server.ts'
import { makeServers } from './servers.ts'
import { autoFile, readState } from './state-files.ts'
import { unquote } from './values.ts'

/** Where the configuration may be. */
export interface ConfigPlaces {
  /** `-c`. */
  readonly file: string | undefined
  /** BARMAN_CONFIG_FILE. */
  readonly environmentFile: string | undefined
  readonly home: string | undefined
  /** Server → the model that is to be taken for active, whatever its file says. */
  readonly wishedModels?: ReadonlyMap<string, string | undefined>
}

const MAIN_SECTION = 'barman'
const NOWHERE = `Could not find any configuration file at default locations.
Check Barman's documentation for more help.`

/** @throws {BackstayError} CONFIG_MISSING, CONFIG_INVALID; the message is what Barman says where it says something. */
export async function loadBarmanConfig(places: ConfigPlaces): Promise<BarmanConfig> {
  const { file, text } = await findMainFile(places)
  const sections: IniSections = new Map()
  readIni(text, file, sections)
  const main = sections.get(MAIN_SECTION) ?? new Map<string, IniValue>()
  const barmanHome = globalText(main, 'barman_home')
  if (barmanHome === undefined) {
    throw invalid('Parameter "barman_home" is required in [barman] section.')
  }
  await readMore(main, sections)
  await readAutoFile(barmanHome, sections)
  const warnings: string[] = []
  warnUnknownGlobals(main, warnings)
  const locks = globalText(main, 'barman_lock_directory') ?? barmanHome
  const around = { sections, barmanHome, locks, wishedModels: places.wishedModels }
  const { servers, models } = await makeServers(around, (text) => warnings.push(text))
  return {
    file,
    barmanHome,
    barmanUser: globalText(main, 'barman_user') ?? 'barman',
    logFile: globalText(main, 'log_file'),
    logLevel: globalText(main, 'log_level') ?? 'INFO',
    servers,
    models,
    warnings,
    errors: conflictsBetween(servers),
  }
}

async function findMainFile(places: ConfigPlaces): Promise<{ file: string; text: string }> {
  const named = places.file ?? places.environmentFile
  const own = places.home === undefined ? [] : [join(places.home, '.barman.conf')]
  const standard = [...own, '/etc/barman.conf', '/etc/barman/barman.conf']
  for (const file of named === undefined ? standard : [named]) {
    const text = await readOptional(file)
    if (text !== undefined) return { file, text }
  }
  const text = named === undefined ? NOWHERE : `Configuration file '${named}' does not exist`
  throw new BackstayError('CONFIG_MISSING', text)
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new BackstayError('CONFIG_INVALID', `Cannot read "${file}": ${message}`, { cause: error })
  }
}

/** The files of configuration_files_directory, in order of their names. An absent directory holds none. */
async function readMore(main: Map<string, IniValue>, sections: IniSections): Promise<void> {
  const directory = globalText(main, 'configuration_files_directory')
  if (directory === undefined) return
  const names = await readdir(directory).catch(() => [])
  for (const name of names.filter((each) => each.endsWith('.conf')).sort()) {
    const file = join(directory, name)
    const text = await readOptional(file)
    if (text === undefined) continue
    const own: IniSections = new Map()
    readIni(text, file, own)
    if ((own.get(MAIN_SECTION)?.size ?? 0) > 0) {
      throw invalid(`the configuration file ${file} contains a not empty [${MAIN_SECTION}] section`)
    }
    readIni(text, file, sections)
  }
}

/** What config-update has written; it is read last, so it wins. */
async function readAutoFile(barmanHome: string, sections: IniSections): Promise<void> {
  const file = autoFile(barmanHome)
  const text = await readState(file)
  if (text !== undefined) readIni(text, file, sections)
}

function globalText(main: ReadonlyMap<string, IniValue>, key: string): string | undefined {
  const value = main.get(key)
  if (value === undefined) return undefined
  const lookup = (name: string): string | undefined => main.get(name)?.text
  const place = `"${key}" in "${value.file}" line ${value.line}`
  const text = unquote(interpolate(value.text, lookup, place))
  return text === '' || text === 'None' ? undefined : text
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

function invalid(message: string): BackstayError {
  return new BackstayError('CONFIG_INVALID', message)
}
