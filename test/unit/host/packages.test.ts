/**
 * Installing PostgreSQL by the host's package manager: what apt and dnf are told, and what their answers are taken for. Both are used
 * for real in test/hosts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { HostCommandResult, Host } from '../../../src/host/host.ts'
import {
  findPackageManager,
  installPackages,
  type PackageManager,
  postgresPackages,
} from '../../../src/host/packages.ts'

const FINE: HostCommandResult = { exitCode: 0, stdout: '', stderr: '' }

/** A host that answers by the first word of a command that matches, and remembers what it was told. */
function recorded(answers: Readonly<Record<string, HostCommandResult>>): {
  readonly host: Host
  readonly told: string[]
  readonly written: string[]
} {
  const told: string[] = []
  const written: string[] = []
  const host = {
    name: 'db1',
    user: 'root',
    run: async (command: readonly string[]) => {
      const line = command.join(' ')
      told.push(line)
      return Object.entries(answers).find(([start]) => line.startsWith(start))?.[1] ?? FINE
    },
    inspect: async () => undefined,
    makeDirectory: async () => {},
    writeFile: async (path: string) => void written.push(path),
  }
  return { host: host as unknown as Host, told, written }
}

const { signal } = new AbortController()

const installPostgres = async (host: Host, manager: PackageManager): Promise<void> =>
  installPackages(host, manager, { packages: postgresPackages(manager, 15), signal })

test('on Red Hat the module is put aside and the packages of the PostgreSQL project are installed', async () => {
  const { host, told } = recorded({})
  await installPostgres(host, 'dnf')
  assert.deepEqual(told, [
    'dnf -y -q module disable postgresql',
    'dnf -y -q install postgresql15-server postgresql15 postgresql15-contrib',
  ])
})

test('on Debian no cluster of its own may come with the packages', async () => {
  const { host, told, written } = recorded({})
  await installPostgres(host, 'apt-get')
  assert.deepEqual(written, ['/etc/postgresql-common/createcluster.d/backstay.conf'])
  assert.deepEqual(told.slice(0, 2), ['apt-get -q update', 'dpkg --audit'])
  assert.match(told[2] ?? '', /^apt-get .* install postgresql-15 postgresql-client-15$/)
})

test('an installation of somebody else that was cut off is finished first', async () => {
  const audit = { exitCode: 0, stdout: 'The following packages are unpacked only', stderr: '' }
  const { host, told } = recorded({ 'dpkg --audit': audit })
  await installPostgres(host, 'apt-get')
  assert.equal(told[2], 'dpkg --configure -a --force-confdef --force-confold')
  assert.match(told[3] ?? '', /^apt-get .* --fix-broken install$/)
  assert.match(told[4] ?? '', /install postgresql-15 postgresql-client-15$/)
})

test('a version that no repository has is named, for apt and for dnf', async () => {
  const unknown = {
    'apt-get': ['apt-get -q -y', 'E: Unable to locate package postgresql-15'],
    dnf: ['dnf -y -q install', 'Error: Unable to find a match: postgresql15-server'],
  } as const
  for (const manager of ['apt-get', 'dnf'] as const) {
    const [start, stderr] = unknown[manager]
    const { host } = recorded({ [start]: { exitCode: 1, stdout: '', stderr } })
    await assert.rejects(
      installPostgres(host, manager),
      (error) => isBackstayError(error, 'BINARIES_MISSING') && error.message.includes('"db1"'),
      manager,
    )
  }
})

test('a full disk is told as such', async () => {
  const stderr = "E: You don't have enough free space in /var/cache/apt/archives/."
  const full = { exitCode: 100, stdout: '', stderr: `${stderr}\nNo space left on device` }
  const { host } = recorded({ 'apt-get -q -y': full })
  await assert.rejects(installPostgres(host, 'apt-get'), (error) =>
    isBackstayError(error, 'DISK_SPACE'),
  )
})

test('a host without a package manager we know has none', async () => {
  assert.equal(await findPackageManager(recorded({}).host), undefined)
  const { host } = recorded({ sh: { exitCode: 0, stdout: 'dnf\n', stderr: '' } })
  assert.equal(await findPackageManager(host), 'dnf')
})
