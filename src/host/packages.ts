/**
 * PostgreSQL from a host's own package manager: apt on Debian and Ubuntu, dnf or yum on Red Hat and
 * its like. Only from the repositories that are configured there (the PostgreSQL project's own,
 * when the operator added it).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { PostgresMajor } from '../postgres/version.ts'
import type { HostCommandResult, Host } from './host.ts'
import { commandError, lastLines } from './run-checked.ts'

const PACKAGE_MANAGERS = ['apt-get', 'dnf', 'yum'] as const

/** A package manager we know, by the name of its command. */
export type PackageManager = (typeof PACKAGE_MANAGERS)[number]

/**
 * Downloads over slow lines take long; a lock of another installation is waited for by apt itself.
 */
const TIMEOUT_MS = 30 * 60_000
const APT_LOCK_TIMEOUT_SECONDS = 300
/** Debian's packages make and start a cluster of their own, which would take our port. */
const NO_MAIN_CLUSTER = '/etc/postgresql-common/createcluster.d/backstay.conf'
const NO_MAIN_CLUSTER_TEXT =
  '# Written by Backstay: it makes its clusters itself.\ncreate_main_cluster = false\n'

/** The package manager of the host, or undefined when it has none of those we know. */
export async function findPackageManager(host: Host): Promise<PackageManager | undefined> {
  const script = 'for name; do command -v "$name" >/dev/null 2>&1 && { echo "$name"; exit; }; done'
  const { stdout } = await host.run(['sh', '-c', script, 'sh', ...PACKAGE_MANAGERS])
  return PACKAGE_MANAGERS.find((name) => name === stdout.trim())
}

/** The packages with initdb, pg_ctl, postgres, psql and pg_rewind of a major version. */
export function postgresPackages(manager: PackageManager, major: PostgresMajor): readonly string[] {
  return manager === 'apt-get'
    ? [`postgresql-${major}`, `postgresql-client-${major}`]
    : [`postgresql${major}-server`, `postgresql${major}`, `postgresql${major}-contrib`]
}

/** The package with psql and the other clients of a major version. */
export function clientPackages(manager: PackageManager, major: PostgresMajor): readonly string[] {
  return [manager === 'apt-get' ? `postgresql-client-${major}` : `postgresql${major}`]
}

/**
 * Installs packages of PostgreSQL; those that are there stay as they are, half-installed ones are
 * finished.
 * @throws BINARIES_MISSING when no repository has it, DISK_SPACE, HOST_COMMAND with what the
 * package manager said.
 */
export async function installPackages(
  host: Host,
  manager: PackageManager,
  options: { readonly packages: readonly string[]; readonly signal: AbortSignal },
): Promise<void> {
  const { packages } = options
  if (manager === 'apt-get') await prepareApt(host, options.signal)
  else await disableModule(host, manager, options.signal)
  const command = installCommand(manager, packages)
  const result = await runManager(host, command, options.signal)
  if (result.exitCode === 0) return
  throw installError(host, { manager, packages, command, result })
}

/** The command line that installs `packages` without asking anything. */
function installCommand(manager: PackageManager, packages: readonly string[]): readonly string[] {
  return manager === 'apt-get'
    ? ['apt-get', ...APT_OPTIONS, '--no-install-recommends', 'install', ...packages]
    : [manager, '-y', '-q', 'install', ...packages]
}

const APT_OPTIONS = [
  '-q',
  '-y',
  '-o',
  'Dpkg::Options::=--force-confdef',
  '-o',
  'Dpkg::Options::=--force-confold',
  '-o',
  `DPkg::Lock::Timeout=${APT_LOCK_TIMEOUT_SECONDS}`,
]

async function prepareApt(host: Host, signal: AbortSignal): Promise<void> {
  const isThere = (await host.inspect(NO_MAIN_CLUSTER)) !== undefined
  if (!isThere) {
    await host.makeDirectory('/etc/postgresql-common/createcluster.d', { mode: 0o755 })
    await host.writeFile(NO_MAIN_CLUSTER, NO_MAIN_CLUSTER_TEXT, { mode: 0o644 })
  }
  // A repository that does not answer leaves the older lists, which may do: the installation itself
  // judges.
  await runManager(host, ['apt-get', '-q', 'update'], signal)
  const { stdout } = await runManager(host, ['dpkg', '--audit'], signal)
  if (stdout.trim() === '') return
  // Somebody's installation was cut off: it is finished first, with what it lacks.
  const defaults = ['--force-confdef', '--force-confold']
  await runManager(host, ['dpkg', '--configure', '-a', ...defaults], signal)
  await runManager(host, ['apt-get', ...APT_OPTIONS, '--fix-broken', 'install'], signal)
}

/**
 * Red Hat's own stream of PostgreSQL hides the packages of the PostgreSQL project's repository;
 * without it this does nothing.
 */
async function disableModule(
  host: Host,
  manager: PackageManager,
  signal: AbortSignal,
): Promise<void> {
  if (manager !== 'dnf') return
  await runManager(host, ['dnf', '-y', '-q', 'module', 'disable', 'postgresql'], signal)
}

async function runManager(
  host: Host,
  command: readonly string[],
  signal: AbortSignal,
): Promise<HostCommandResult> {
  const environment = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' }
  return await host.run(command, { environment, timeoutMs: TIMEOUT_MS, signal })
}

interface FailedInstallation {
  readonly manager: PackageManager
  readonly packages: readonly string[]
  readonly command: readonly string[]
  readonly result: HostCommandResult
}

function installError(host: Host, failed: FailedInstallation): BackstayError {
  const { manager, packages, command, result } = failed
  const said = `${result.stdout}\n${result.stderr}`
  if (/No space left on device|not have enough free space|insufficient space/i.test(said)) {
    return new BackstayError(
      'DISK_SPACE',
      `Cannot install PostgreSQL on "${host.name}": ${lastLines(result.stderr || result.stdout, 3)}`,
      { details: { host: host.name, packages } },
    )
  }
  const isUnknown =
    /Unable to locate package|has no installation candidate|No match for argument|Unable to find a match/i
  if (!isUnknown.test(said)) return commandError(host.name, command, result)
  return new BackstayError(
    'BINARIES_MISSING',
    `Cannot install PostgreSQL on "${host.name}": no repository of ${manager} there has ${packages.join(', ')}`,
    {
      hint: 'Add the repository of the PostgreSQL project there (Debian: postgresql-common has a script for it), or set postgres.version to what the distribution has.',
      details: { host: host.name, packages },
    },
  )
}
