/**
 * Starts one of the programs with Barman's names. Plain JavaScript that also runs on an older Node.js: it goes over to the
 * Node.js 24 that comes as an optional dependency where the one at hand is older.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import module, { createRequire } from 'node:module'
import { constants, homedir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const NEEDED_MAJOR = 24
const root = dirname(dirname(fileURLToPath(import.meta.url)))

/**
 * Loads `src/barman/<name>.ts` (checkout) or `dist/barman/<name>.js` (package) and runs its `main`.
 * `launcher`: the path of the file in bin/.
 */
export async function start(name, launcher) {
  if (Number.parseInt(process.versions.node, 10) < NEEDED_MAJOR) return startNewerNode(launcher)
  enableCompileCache()
  const source = join(root, 'src', 'barman', `${name}.ts`)
  const entry = existsSync(source) ? source : join(root, 'dist', 'barman', `${name}.js`)
  const { main } = await import(entry)
  await main()
}

/** As in backstay.js: a cache that another user could write to would be run by us. */
function enableCompileCache() {
  try {
    const home = homedir()
    if (statSync(home).uid !== process.getuid?.()) return
    module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE ?? join(home, '.cache', 'backstay'))
  } catch {
    // Without a home there is no cache: the start is slower, nothing else.
  }
}

function startNewerNode(launcher) {
  const node = findNewerNode()
  if (node === undefined) {
    process.stderr.write(
      `ERROR: Backstay needs Node.js ${NEEDED_MAJOR} or newer: this is ${process.version}\n`,
    )
    process.exitCode = 1
    return
  }
  const argv = [...process.execArgv, launcher, ...process.argv.slice(2)]
  if (process.execve !== undefined) process.execve(node, [node, ...argv], process.env)
  const { status, signal } = spawnSync(node, argv, { stdio: 'inherit' })
  process.exitCode = status ?? 128 + constants.signals[signal]
}

function findNewerNode() {
  try {
    const name = `node-${process.platform}-${process.arch}/package.json`
    const manifest = createRequire(import.meta.url).resolve(name)
    const node = join(dirname(manifest), 'bin', 'node')
    return existsSync(node) ? node : undefined
  } catch {
    return undefined
  }
}
