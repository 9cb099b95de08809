/**
 * The key that a host shows to somebody who does not know it yet: fetched, for a person to compare,
 * and remembered exactly as it was compared. Each connection may lead to somebody else, so what one
 * of them showed says nothing of the next.
 */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { runChild } from './child-process.ts'
import { knownHostsFile, type WayToHost } from './known-hosts.ts'

const FETCH_TIMEOUT_MS = 30_000
/** Lines for names and addresses of one host; a key of RSA with 16384 bits has 2.8 kB. */
const LINES_BYTES_MAX = 16 * 1024

/** A key as it was shown, unproved. */
export interface ShownHostKey {
  /** `ssh-ed25519 SHA256:…`, of the key in the lines. */
  readonly fingerprint: string
  /**
   * For known_hosts, as ssh writes them there: one, or one for each name where names are hashed.
   */
  readonly lines: string
}

/**
 * Has the host show its key to an ssh that knows none and does not log in. Undefined when it cannot
 * be had.
 */
export async function fetchHostKey(way: WayToHost): Promise<ShownHostKey | undefined> {
  const folder = await mkdtemp(join(way.directory, 'key-'))
  try {
    const file = join(folder, 'known_hosts')
    await writeFile(file, '', { mode: 0o600 })
    await runSsh(way, [...way.sshCommand(fetchWords(file)), 'true'])
    return parseHostKey(await readFile(file, 'utf8'))
  } catch {
    return undefined
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Reads what ssh wrote of one host: all lines must have the same key. */
export function parseHostKey(text: string): ShownHostKey | undefined {
  if (text.length > LINES_BYTES_MAX) return undefined
  const lines = text.split('\n').filter((line) => line !== '')
  const keys = lines.map((line) => /^[^\s@#]\S* ([\w@.-]+) ([A-Za-z0-9+/]+=*)$/.exec(line))
  const [, type, key] = keys[0] ?? []
  if (type === undefined || key === undefined) return undefined
  if (keys.some((found) => found?.[1] !== type || found[2] !== key)) return undefined
  const hash = createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64')
  return {
    fingerprint: `${type} SHA256:${hash.replace(/=+$/, '')}`,
    lines: lines.map((line) => `${line}\n`).join(''),
  }
}

/**
 * Appends the lines to the operator's known_hosts file, where ssh itself would.
 * @throws HOST_UNREACHABLE when they cannot be kept
 */
export async function rememberHostKey(way: WayToHost, lines: string): Promise<void> {
  const path = await knownHostsFile(way)
  if (path === undefined) throw notRemembered(way, 'ssh is told to keep no known_hosts file')
  try {
    await appendLines(path, lines)
  } catch (error) {
    throw notRemembered(way, `"${path}" cannot be written`, error)
  }
}

/**
 * First wins, so these come before everything of the operator's. A way of its own: a shared one is
 * logged in.
 */
function fetchWords(file: string): readonly string[] {
  return [
    'ControlMaster=no',
    'ControlPath=none',
    `UserKnownHostsFile="${file}"`,
    'GlobalKnownHostsFile=/dev/null',
    'StrictHostKeyChecking=accept-new',
    'UpdateHostKeys=no',
    'PreferredAuthentications=none',
  ].flatMap((option) => ['-o', option])
}

async function runSsh(way: WayToHost, command: readonly string[]): Promise<void> {
  const { environment } = way.options
  await runChild(command, { directory: '/', environment, timeoutMs: FETCH_TIMEOUT_MS })
}

async function appendLines(path: string, lines: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await using file = await open(path, 'a+', 0o600)
  const { size } = await file.stat()
  const last = Buffer.alloc(1)
  if (size > 0) await file.read(last, 0, 1, size - 1)
  const start = size > 0 && last.toString() !== '\n' ? '\n' : ''
  await file.write(`${start}${lines}`)
  await file.sync()
}

function notRemembered(way: WayToHost, why: string, cause?: unknown): BackstayError {
  const { name } = way.options
  return new BackstayError(
    'HOST_UNREACHABLE',
    `Cannot remember the host key of "${name}": ${why}`,
    {
      hint: 'Put the key into a known_hosts file that ssh reads for this host (UserKnownHostsFile), and run the command again.',
      details: { host: name, cause: 'host-key-not-kept' },
      ...(cause === undefined ? {} : { cause }),
    },
  )
}
