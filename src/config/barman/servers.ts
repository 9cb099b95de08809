/**
 * From the sections of the configuration to servers and models. A server's active model stands over its section.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { IniSections, IniValue } from './ini.ts'
import type { BarmanModel, BarmanServer } from './model.ts'
import { SERVER_OPTIONS } from './options.ts'
import { resolveOptions, type ResolvedOption } from './server-options.ts'
import { makeServer } from './server.ts'
import { activeModelFile, readState } from './state-files.ts'
import { parseBoolean, unquote } from './values.ts'

const MAIN_SECTION = 'barman'
/** Options that only say what a model is. */
const MODEL_KEYS: ReadonlySet<string> = new Set(['model', 'cluster'])

/** What servers are made with. */
export interface SectionsAround {
  readonly sections: IniSections
  readonly barmanHome: string
  /** barman_lock_directory. */
  readonly locks: string
  readonly wishedModels: ReadonlyMap<string, string | undefined> | undefined
}

type Warn = (text: string) => void

/** Servers and models, by name. @throws {BackstayError} CONFIG_INVALID */
export async function makeServers(
  around: SectionsAround,
  warn: Warn,
): Promise<{ servers: BarmanServer[]; models: BarmanModel[] }> {
  const names = [...around.sections.keys()].filter(
    (name) => name !== MAIN_SECTION && name !== 'DEFAULT',
  )
  if (names.includes('all')) {
    throw new BackstayError(
      'CONFIG_INVALID',
      "the reserved word 'all' is not allowed as server name.Please rename it.",
    )
  }
  const models = names.flatMap((name) => modelOf(name, around, warn) ?? [])
  const isModel = new Set(names.filter((name) => isModelSection(around, name)))
  const servers: BarmanServer[] = []
  for (const name of names.filter((each) => !isModel.has(each)).sort()) {
    servers.push(await serverOf(name, { around, models, warn }))
  }
  return { servers, models }
}

function isModelSection({ sections }: SectionsAround, name: string): boolean {
  return parseBoolean(sections.get(name)?.get('model')?.text ?? '') === true
}

function modelOf(name: string, around: SectionsAround, warn: Warn): BarmanModel | undefined {
  if (!isModelSection(around, name)) return undefined
  const section = around.sections.get(name) ?? new Map<string, IniValue>()
  const options = new Map<string, IniValue>()
  for (const [key, value] of section) {
    if (MODEL_KEYS.has(key)) continue
    if (SERVER_OPTIONS.get(key)?.scope.includes('M') === true) options.set(key, value)
    else warn(`Invalid configuration option "${key}" in [${name}] section.`)
  }
  const cluster = section.get('cluster')
  if (cluster === undefined) {
    warn(`Parameter "cluster" is required in [${name}] model: it fits no server`)
  }
  return { name, cluster: cluster && unquote(cluster.text), options }
}

interface Making {
  readonly around: SectionsAround
  readonly models: readonly BarmanModel[]
  readonly warn: Warn
}

async function serverOf(name: string, making: Making): Promise<BarmanServer> {
  const plain = resolve(name, making, undefined)
  const active = await activeModelOf(name, plain, making)
  if (active === undefined) return makeServer(name, plain)
  const model = making.models.find((each) => each.name === active)
  const options = model === undefined ? plain : resolve(name, making, model)
  const server = { ...makeServer(name, options), activeModel: active }
  if (model !== undefined) return server
  const problem = `Active model '${active}' for server '${name}' does not exist`
  return { ...server, problems: [...server.problems, problem] }
}

async function activeModelOf(
  name: string,
  options: ReadonlyMap<string, ResolvedOption>,
  { around: { wishedModels } }: Making,
): Promise<string | undefined> {
  if (wishedModels?.has(name) === true) return wishedModels.get(name)
  const text = await readState(activeModelFile(options.get('backup_directory')?.text ?? ''))
  return text?.trim() === '' ? undefined : text?.trim()
}

function resolve(
  name: string,
  { around, warn }: Making,
  model: BarmanModel | undefined,
): ReadonlyMap<string, ResolvedOption> {
  const { sections, barmanHome, locks } = around
  const global = sections.get(MAIN_SECTION) ?? new Map<string, IniValue>()
  const own = sections.get(name) ?? new Map<string, IniValue>()
  const extra = new Map([
    ['name', name],
    ['barman_home', barmanHome],
    ['barman_lock_directory', locks],
  ])
  const section = new Map([...own, ...(model?.options ?? [])])
  // What is wrong with the section itself was said when it was read without the model.
  const warnOnce = model === undefined ? warn : (): void => {}
  return resolveOptions(name, { global, section, extra, warn: warnOnce })
}
