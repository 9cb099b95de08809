/**
 * Runs the tests: installs the PostgreSQL versions and prepares the test hosts they need, then node:test over all suites, or over the files given.
 *
 * Started as root, parts of the tests run as an ordinary user: PostgreSQL, and the commands it starts. In a checkout that user
 * cannot get into (below /root, or a private temporary directory) the tests run from a copy, which is removed afterwards.
 */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { isRoot, unprivilegedUser } from '../test/harness/unprivileged-user.ts'

const ROOT = join(import.meta.dirname, '..')
const UNIT = 'test/unit/**/*.test.ts'
/** All unit tests in one process: to load the sources anew for each file takes longer than the tests. */
const TOGETHER = ['--test', '--test-isolation=none']
const SUITES = join('scripts', 'run-suites.ts')
/** Half of it may hold files; the tests need some 4 GB at a time. */
const MEMORY_BYTES_MIN = 12 * 1024 ** 3

function install(name: 'install-test-postgres.ts' | 'install-test-hosts.ts'): void {
  const script = join(ROOT, 'scripts', name)
  const { status } = spawnSync(process.execPath, [script], { stdio: 'inherit' })
  if (status !== 0) process.exit(1)
}

function canOthersRead(path: string): boolean {
  if (!isRoot) return true
  const { uid, gid } = unprivilegedUser
  const words = ['--reuid', String(uid), '--regid', String(gid), '--clear-groups']
  return spawnSync('setpriv', [...words, 'test', '-r', path]).status === 0
}

function copyCheckout(): string {
  const copy = mkdtempSync('/var/tmp/backstay-checkout-')
  chmodSync(copy, 0o755)
  console.log(`Tests run from a copy of this checkout in ${copy}: other users cannot read it here`)
  cpSync(ROOT, copy, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => path !== join(ROOT, '.git'),
  })
  return copy
}

/**
 * What keeps to the tests what they leave: shared memory of servers that were killed and, in memory, the temporary directory. Thousands of
 * clusters are made and thrown away there, and each waits for the disk at every commit; what a disk can do wrong is tested on file systems
 * that the tests make. Empty where that cannot be done.
 */
function apart(): readonly string[] {
  if (!isRoot) return []
  const places = isForMemory() ? ['/dev/shm', tmpdir()] : ['/dev/shm']
  const mounts = places.map((place) => `mount -t tmpfs -o mode=1777 tmpfs '${place}'`).join(' && ')
  const words = ['--mount', '--ipc', '--propagation', 'slave', 'sh', '-c']
  const isAllowed = spawnSync('unshare', [...words, mounts]).status === 0
  return isAllowed ? ['unshare', ...words, `${mounts} && exec "$@"`, 'sh'] : []
}

/** Not where the checkout would be hidden, there is too little memory, or the disk is asked for. */
function isForMemory(): boolean {
  const isHidden = `${ROOT}/`.startsWith(`${tmpdir()}/`)
  if (process.env['BACKSTAY_TEST_ON_DISK'] !== undefined) return false
  return !isHidden && totalmem() >= MEMORY_BYTES_MIN
}

let isInterrupted = false

/** Runs Node.js with these words in `directory`, and gives back its exit code. */
async function runTests(directory: string, words: readonly string[]): Promise<number> {
  // Commands that PostgreSQL runs are started with this Node.js: it has to be the copy's.
  const node = process.execPath.replace(ROOT, directory)
  const env = { NODE_COMPILE_CACHE: join(directory, 'node_modules/.cache/node'), ...process.env }
  const [program = node, ...rest] = [...apart(), node, ...words]
  const child = spawn(program, rest, { cwd: directory, stdio: 'inherit', env })
  const forward = (signal: NodeJS.Signals): void => {
    isInterrupted = true
    child.kill(signal)
  }
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.on(signal, forward)
  const code = await new Promise<number>((resolve) => child.on('close', (end) => resolve(end ?? 1)))
  for (const signal of signals) process.off(signal, forward)
  return code
}

const given = process.argv.slice(2)
install('install-test-postgres.ts')
if (given.length === 0 || given.some((file) => file.includes('hosts/'))) {
  install('install-test-hosts.ts')
}
const runs = given.length === 0 ? [[...TOGETHER, UNIT], [SUITES]] : [[SUITES, ...given]]
const isOpen = canOthersRead(join(ROOT, 'package.json'))
const directory = isOpen ? ROOT : copyCheckout()
try {
  for (const words of runs) {
    const code = await runTests(directory, words)
    process.exitCode ||= code
    if (isInterrupted) break
  }
} finally {
  if (!isOpen) rmSync(directory, { recursive: true, force: true })
}
