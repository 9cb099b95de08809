/**
 * Runs the tests: installs the PostgreSQL versions and prepares the test hosts they need, then node:test over all suites, or over the files given.
 *
 * Started as root, parts of the tests run as an ordinary user: PostgreSQL, and the commands it starts. In a checkout that user
 * cannot get into (below /root, or a private temporary directory) the tests run from a copy, which is removed afterwards.
 */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot, unprivilegedUser } from '../test/harness/unprivileged-user.ts'

const ROOT = join(import.meta.dirname, '..')
const SUITES = 'test/{unit,conformance,integration,fault,hosts}/**/*.test.ts'

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

async function runTests(directory: string, files: readonly string[]): Promise<number> {
  const words = ['--test', '--test-concurrency=2', ...files]
  // Commands that PostgreSQL runs are started with this Node.js: it has to be the copy's.
  const node = process.execPath.replace(ROOT, directory)
  const child = spawn(node, words, { cwd: directory, stdio: 'inherit' })
  const forward = (signal: NodeJS.Signals): boolean => child.kill(signal)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, forward)
  return await new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)))
}

const given = process.argv.slice(2)
install('install-test-postgres.ts')
if (given.length === 0 || given.some((file) => file.includes('hosts/'))) {
  install('install-test-hosts.ts')
}
const files = given.length === 0 ? [SUITES] : given
const isOpen = canOthersRead(join(ROOT, 'package.json'))
const directory = isOpen ? ROOT : copyCheckout()
try {
  process.exitCode = await runTests(directory, files)
} finally {
  if (!isOpen) rmSync(directory, { recursive: true, force: true })
}
