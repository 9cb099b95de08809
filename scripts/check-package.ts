/**
 * Proves that the package works where it will be used: packs it, installs the tarball globally into a temporary prefix
 * with the npm and Node.js of this machine, and runs the installed command.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const INSTALL_TIMEOUT_MS = 300_000

/** The machine's own PATH: under `npm run` our node_modules/.bin, with Node.js 24, stands before it. */
function machinePath(): string {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((directory) => !directory.includes('node_modules'))
    .join(delimiter)
}

/** Certificates and proxies of this machine; the settings of an `npm run` around this are left out. */
function wayToTheRegistry(): NodeJS.ProcessEnv {
  const names = /^(NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|(https?|no)_proxy)$/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => names.test(name)))
}

function run(file: string, words: readonly string[], cwd: string): string {
  return execFileSync(file, words, {
    cwd,
    encoding: 'utf8',
    timeout: INSTALL_TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...wayToTheRegistry(), PATH: machinePath(), HOME: process.env['HOME'] },
  })
}

/** Compiled files that name a source file as text: import paths are rewritten, `new URL('./worker.ts')` is not. */
function filesNamingSources(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js'))
    .filter((name) =>
      /new URL\(\s*['"`][^'"`]*\.ts['"`]/.test(readFileSync(join(directory, name), 'utf8')),
    )
}

function expect(what: string, holds: boolean): void {
  if (!holds) throw new Error(`Package check failed: ${what}`)
  console.log(`✓ ${what}`)
}

const folder = mkdtempSync(join(tmpdir(), 'backstay-package-'))
try {
  const packed = run('npm', ['pack', '--json', '--pack-destination', folder], ROOT)
  const [{ filename, unpackedSize }] = JSON.parse(packed.slice(packed.indexOf('['))) as [
    { filename: string; unpackedSize: number },
  ]
  console.log(`packed ${filename}, ${Math.round(unpackedSize / 1024)} kB unpacked`)
  expect(
    'no compiled file names a source file',
    filesNamingSources(join(ROOT, 'dist')).length === 0,
  )
  const prefix = join(folder, 'prefix')
  const options = ['--prefix', prefix, '--prefer-offline', '--no-audit', '--no-fund']
  run('npm', ['install', '--global', ...options, join(folder, filename)], folder)
  const command = join(prefix, 'bin/backstay')
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string
  }
  const node = run('node', ['--version'], folder).trim()
  expect(
    `backstay --version answers under Node.js ${node}`,
    run(command, ['--version'], folder) === `backstay ${version}\n`,
  )
  expect('backstay --help answers', run(command, ['--help'], folder).startsWith('Usage: backstay'))
  const init = ['init', '--primary', '127.0.0.1', '--json']
  expect('backstay init writes a file', run(command, init, folder).includes('backstay.yaml'))
  expect(
    'backstay config check reads it',
    run(command, ['config', 'check'], folder).includes('is right'),
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
