/**
 * From the sections of the configuration to servers and models. A server's active model stands over
 * its section.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { DEFAULT_SECTION, type IniSections, type IniValue, sectionOf } from './ini.ts'
import { MAIN_SECTION } from './main-file.ts'
import type { BarmanModel, BarmanServer } from './model.ts'
import { REPOSITORY_OPTION, SERVER_OPTIONS, SERVICE_OPTION } from './options.ts'
import { resolveOptions, type ResolvedOption } from './server-options.ts'
import { makeServer } from './server.ts'
import { activeModelFile, readState } from './state-files.ts'
import { parseBoolean, unquote } from './values.ts'

/** Something else in the file of an active model is not repeated: it may be anybody's. */
const MODEL_NAME = /^[\w.:-]{1,128}$/
/** Options that only say what a model is. */
const MODEL_KEYS: ReadonlySet<string> = new Set(['model', 'cluster'])

/** What servers are made with. */
export interface SectionsAround {
  readonly sections: IniSections
  readonly barmanHome: string
  /** barman_lock_directory. */
  readonly locks: string
  readonly wishedModels?: ReadonlyMap<string, string | undefined>
  /** No model is active but a wished one. */
  readonly isLeftOut?: boolean
}

type Warn = (text: string) => void

/** Servers and models, by name. @throws {BackstayError} CONFIG_INVALID */
export async function makeServers(
  around: SectionsAround,
  warn: Warn,
): Promise<{ servers: BarmanServer[]; models: BarmanModel[] }> {
  const names = [...around.sections.keys()].filter(
    (name) => name !== MAIN_SECTION && name !== DEFAULT_SECTION,
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
  return parseBoolean(sectionOf(sections, name).get('model')?.text ?? '') === true
}

function modelOf(name: string, around: SectionsAround, warn: Warn): BarmanModel | undefined {
  if (!isModelSection(around, name)) return undefined
  const section = sectionOf(around.sections, name)
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
  const own = ownOptions(name, making)
  const model = making.models.find((each) => each.name === active)
  const options = model === undefined ? plain : resolve(name, making, model)
  const server = { ...makeServer(name, options), ...own }
  if (active === undefined) return server
  if (model !== undefined) return { ...server, activeModel: active }
  const isName = MODEL_NAME.test(active)
  const problem = isName
    ? `Active model '${active}' for server '${name}' does not exist`
    : `"${activeModelFile(server.backupDirectory)}" holds no name of a model`
  const problems = [...server.problems, problem]
  return isName ? { ...server, activeModel: active, problems } : { ...server, problems }
}

/** What only Backstay knows. */
function ownOptions(
  name: string,
  { around }: Making,
): Pick<BarmanServer, 'repository' | 'isServed'> {
  const section = sectionOf(around.sections, name)
  const [repository, service] = [section.get(REPOSITORY_OPTION), section.get(SERVICE_OPTION)]
  return {
    repository: repository && unquote(repository.text.replaceAll('%%', '%')),
    isServed: service !== undefined && parseBoolean(service.text) === true,
  }
}

async function activeModelOf(
  name: string,
  options: ReadonlyMap<string, ResolvedOption>,
  { around: { wishedModels, isLeftOut } }: Making,
): Promise<string | undefined> {
  if (wishedModels?.has(name) === true) return wishedModels.get(name)
  if (isLeftOut === true) return undefined
  const text = await readState(activeModelFile(options.get('backup_directory')?.text ?? ''))
  return text?.trim() === '' ? undefined : text?.trim()
}

function resolve(
  name: string,
  { around, warn }: Making,
  model: BarmanModel | undefined,
): ReadonlyMap<string, ResolvedOption> {
  const { sections, barmanHome, locks } = around
  const global = sectionOf(sections, MAIN_SECTION)
  const own = sectionOf(sections, name)
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
