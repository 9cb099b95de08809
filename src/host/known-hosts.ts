/**
 * The operator's known_hosts files as ssh finds them for one host, and whether the host is in them.
 */
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'
import { runChild } from './child-process.ts'

const TIMEOUT_MS = 30_000
const DEFAULT_PORT = '22'

/** What of a connection is needed. */
export interface WayToHost {
  readonly options: {
    readonly name: string
    readonly environment: Readonly<Record<string, string>>
  }
  /** 0700. */
  readonly directory: string
  sshCommand(extra?: readonly string[]): readonly string[]
}

/** The file into which new keys of this host go; undefined when ssh is told to keep none. */
export async function knownHostsFile(way: WayToHost): Promise<string | undefined> {
  const [first] = filesIn(await askSettings(way), 'userknownhostsfile')
  return first === '/dev/null' ? undefined : first
}

/**
 * Whether there is a key for the host under the name that ssh looks for, whichever kind of key it
 * is. One of an authority (`@cert-authority`) is none of the host's own.
 */
export async function knowsHost(way: WayToHost): Promise<boolean> {
  const settings = await askSettings(way)
  const name = nameIn(settings)
  const files = ['userknownhostsfile', 'globalknownhostsfile'].flatMap((key) =>
    filesIn(settings, key),
  )
  for (const file of files) {
    const found = await run(way, ['ssh-keygen', '-F', name, '-f', file])
    if (/^[^#@\s]/m.test(found)) return true
  }
  return false
}

function nameIn(settings: string): string {
  const alias = valueIn(settings, 'hostkeyalias')
  if (alias !== undefined) return alias
  const host = (valueIn(settings, 'hostname') ?? '').toLowerCase()
  const port = valueIn(settings, 'port') ?? DEFAULT_PORT
  return port === DEFAULT_PORT ? host : `[${host}]:${port}`
}

/** ssh prints paths with a space in them as they are. */
function filesIn(settings: string, key: string): readonly string[] {
  return (valueIn(settings, key) ?? '')
    .split(/ (?=[/~])/)
    .map((path) => (path.startsWith('~/') ? join(ownHome(), path.slice(2)) : path))
    .filter((path) => path.startsWith('/'))
}

function valueIn(settings: string, key: string): string | undefined {
  return new RegExp(`^${key} (.+)$`, 'm').exec(settings)?.[1]
}

/** As ssh finds it: from the user database. */
function ownHome(): string {
  return userInfo().homedir || homedir()
}

async function askSettings(way: WayToHost): Promise<string> {
  return await run(way, way.sshCommand(['-G']))
}

async function run(way: WayToHost, command: readonly string[]): Promise<string> {
  const { environment } = way.options
  const options = { directory: '/', environment, timeoutMs: TIMEOUT_MS }
  return (await runChild(command, options)).stdout.toString()
}
