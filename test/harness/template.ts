/**
 * Data directories as initdb leaves them, made once a major and copied for every test server.
 * A template appears by rename, so no lock can be left behind by a dead test process.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { TEMPLATES, type TestBinaries } from './binaries.ts'
import { isRoot, unprivilegedUser } from './unprivileged-user.ts'

const execute = promisify(execFile)
const ABANDONED_AFTER_MS = 600_000

/** Password of the superuser `postgres` of every test server. */
export const TEST_PASSWORD = 'test-superuser-password'

/** Puts a fresh data directory at `directory`: a copy of the template of `binaries` and `initdbArguments`. */
export async function copyTemplate(
  directory: string,
  binaries: TestBinaries,
  initdbArguments: readonly string[],
): Promise<void> {
  const template = await templateOf(binaries, initdbArguments)
  await execute('cp', ['-a', '--reflink=auto', template, directory])
}

/** Runs initdb into `directory` as the unprivileged user: a cluster with a system identifier of its own. */
export async function initdb(
  directory: string,
  binaries: TestBinaries,
  initdbArguments: readonly string[],
): Promise<void> {
  const pwfile = `${directory}.password`
  writeFileSync(pwfile, `${TEST_PASSWORD}\n`, { mode: 0o600 })
  if (isRoot) chownSync(pwfile, unprivilegedUser.uid, unprivilegedUser.gid)
  const { uid, gid } = unprivilegedUser
  await execute(
    join(binaries.directory, 'initdb'),
    [
      '-D',
      directory,
      '-N',
      '-U',
      'postgres',
      '-A',
      'scram-sha-256',
      `--pwfile=${pwfile}`,
      ...initdbArguments,
    ],
    {
      ...(isRoot ? { uid, gid } : {}),
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    },
  )
  rmSync(pwfile)
}

/** What initdb is given when a test says nothing else. */
export function initdbArgumentsOf(major: number, extra: readonly string[]): readonly string[] {
  const checksums = extra.includes('--no-data-checksums') ? [] : ['--data-checksums']
  const known = major < 18 ? extra.filter((argument) => argument !== '--no-data-checksums') : extra
  return ['--encoding=UTF8', '--locale=C', ...checksums, ...known]
}

async function templateOf(
  binaries: TestBinaries,
  initdbArguments: readonly string[],
): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify([binaries.version, initdbArguments]))
  const template = join(TEMPLATES, `pg${binaries.major}-${key.digest('hex').slice(0, 12)}`)
  if (existsSync(template)) return template
  makeTemplatesFolder()
  const temporary = `${template}.${process.pid}.${Date.now()}`
  await initdb(temporary, binaries, initdbArguments)
  try {
    renameSync(temporary, template)
  } catch {
    rmSync(temporary, { recursive: true, force: true })
  }
  return template
}

function makeTemplatesFolder(): void {
  mkdirSync(TEMPLATES, { recursive: true })
  if (isRoot) chownSync(TEMPLATES, unprivilegedUser.uid, unprivilegedUser.gid)
  chmodSync(TEMPLATES, 0o755)
  for (const name of readdirSync(TEMPLATES).filter((name) => name.includes('.'))) {
    const path = join(TEMPLATES, name)
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (age > ABANDONED_AFTER_MS) rmSync(path, { recursive: true, force: true })
  }
}
