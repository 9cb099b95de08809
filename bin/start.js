/**
 * Starts one of our programs. Plain JavaScript that also runs on an older Node.js: it goes over to the Node.js 24 that comes as an
 * optional dependency where the one at hand is older.
 */
import { existsSync, statSync } from 'node:fs'
import module, { createRequire } from 'node:module'
import { constants, homedir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const NEEDED_MAJOR = 24
const FORWARDED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/**
 * Loads `src/<name>.ts` (checkout) or `dist/<name>.js` (package) and runs its `main` with `given`. `launcher`: `import.meta.url` of
 * the file in bin/ that was called.
 */
export async function start(name, launcher, ...given) {
  const isOld = Number.parseInt(process.versions.node, 10) < NEEDED_MAJOR
  await (isOld ? startNewerNode(fileURLToPath(launcher)) : load(name, given))
}

async function load(name, given) {
  enableCompileCache()
  const source = join(root, 'src', `${name}.ts`)
  const program = existsSync(source) ? source : join(root, 'dist', `${name}.js`)
  let main
  try {
    ;({ main } = await import(program))
  } catch (error) {
    return fail(`Backstay cannot be loaded: ${error.stack}`, 'Install it again.')
  }
  await main(...given)
}

/**
 * Compiled code is cached below our own home, not in Node's default below /tmp: what another user could have put
 * there would be run by us.
 */
function enableCompileCache() {
  try {
    const home = homedir()
    if (statSync(home).uid !== process.getuid?.()) return
    module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE ?? join(home, '.cache', 'backstay'))
  } catch {
    // Without a home there is no cache: the start is slower, nothing else.
  }
}

async function startNewerNode(launcher) {
  const node = findNewerNode()
  if (node === undefined) {
    return fail(
      `Backstay needs Node.js ${NEEDED_MAJOR} or newer: this is ${process.version}, and the package that brings ${NEEDED_MAJOR} (${nodePackage()}) is not installed`,
      `Install Node.js ${NEEDED_MAJOR} or newer.`,
    )
  }
  const argv = [node, ...process.execArgv, launcher, ...process.argv.slice(2)]
  if (process.execve !== undefined) return process.execve(node, argv, process.env)
  return supervise(node, argv.slice(1))
}

function nodePackage() {
  return `node-${process.platform}-${process.arch}`
}

function findNewerNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve(`${nodePackage()}/package.json`)
    const node = join(dirname(manifest), 'bin', 'node')
    return existsSync(node) ? node : undefined
  } catch {
    return undefined
  }
}

/**
 * Runs Node.js 24 as a child where this one cannot replace itself. What a terminal sends reaches both processes and
 * is forwarded as well: the child counts signals that come close together once (src/cli/interrupts.ts).
 */
async function supervise(node, argv) {
  const { spawn } = await import('node:child_process')
  const child = spawn(node, argv, { stdio: 'inherit' })
  for (const signal of FORWARDED_SIGNALS) process.on(signal, () => child.kill(signal))
  child.on('error', (error) =>
    fail(`Cannot start "${node}": ${error.message}`, `Install Node.js ${NEEDED_MAJOR} or newer.`),
  )
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    for (const name of FORWARDED_SIGNALS) process.removeAllListeners(name)
    process.kill(process.pid, signal)
    // A signal that does not end this process ends it by code.
    setTimeout(() => process.exit(128 + constants.signals[signal]), 100)
  })
}

function fail(message, hint) {
  process.stderr.write(`Error: ${message}\nHint: ${hint}\n`)
  process.exitCode = stopsRecovery(process.argv.slice(2)) ? 126 : 1
}

/** From 1 a recovery would gather that the end of WAL is reached; a standby would rather ask again than stop. */
function stopsRecovery([first, second, ...rest]) {
  return first === 'gate' || (first === 'wal' && second === 'get' && !rest.includes('--standby'))
}
