/**
 * "Backstay is on this machine": ships it where it is missing, proves that it runs there, and
 * clears away versions nobody uses.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { Host } from '../host/host.ts'
import { lastLines, runChecked } from '../host/run-checked.ts'
import { checkProgram } from '../host/whose-program.ts'
import type { ClusterContext, Inhabitant } from '../cluster/context.ts'
import { letNamesLast } from './lasting-names.ts'
import { lookPackage } from '../cluster/look/look-package.ts'
import { removeOldPackages } from './old-packages.ts'
import {
  CURRENT_LINK,
  packageCommandOf,
  packageDirectoryOf,
  packagesFolderOf,
  PROGRAM_LINK,
  SERVICE_COMMAND,
} from '../cluster/machine/service-source.ts'
import { shipPackage } from './ship-package.ts'

const PROBE_TIMEOUT_MS = 30_000
/** Links point at links: what they name may change without them. */
const LINK = 'ln -s -- "$1" "$2.backstay-new" && mv -fT -- "$2.backstay-new" "$2"'
const LAUNCHER = `#!/bin/sh\n# Written by Backstay.\nexec ${SERVICE_COMMAND.join(' ')} "$@"\n`

/**
 * Makes sure that this very Backstay is on the machine of `server`, which is reached over ssh, and
 * gives back its command line there (words of its own follow). The command line names this version:
 * write it into nothing that outlives the command, see `makeCurrent`. Progress is told as
 * `clone-progress` of the server.
 * @throws DIRECTORY_OWNER when somebody else than root could put programs where it lies;
 * HOST_COMMAND when it cannot be put there or does not run (another kind of machine, login not
 * root, too old a system: the message says which); DISK_SPACE; HOST_UNREACHABLE.
 */
export async function ensurePackage(
  context: ClusterContext,
  server: Inhabitant,
): Promise<readonly string[]> {
  const { host } = await context.machineOf(server)
  const source = await context.serviceSource()
  const { isThere, obstacle } = await lookPackage(context, host)
  if (obstacle !== undefined) throw cannotInstall(host, obstacle)
  await checkProgram(host, packageCommandOf(source))
  if (!isThere) await shipPackage(context, { host, server: server.name })
  const command = packageCommandOf(source)
  const why = await whyNotRunning(host, command)
  if (why !== undefined) throw cannotInstall(host, `it does not run there: ${why}`)
  if (!isThere) await removeOldPackages(host, source, context.clock.now())
  return command
}

/** The command line of the Backstay that is there, or why there is none. */
export type PackageCommand =
  | { readonly command: readonly string[] }
  | { readonly command: undefined; readonly why: string }

/** The same without shipping anything. @throws HOST_UNREACHABLE, DIRECTORY_OWNER */
export async function packageThere(
  context: ClusterContext,
  server: Inhabitant,
): Promise<PackageCommand> {
  const { host } = await context.machineOf(server)
  if (!(await lookPackage(context, host)).isThere) {
    return { command: undefined, why: `Backstay is not on "${host.name}"` }
  }
  const command = packageCommandOf(await context.serviceSource())
  await checkProgram(host, command)
  const why = await whyNotRunning(host, command)
  if (why === undefined) return { command }
  return { command: undefined, why: `Backstay does not run on "${host.name}" (${why})` }
}

/**
 * Lets the link /opt/backstay/current, and with it `backstay` on the path there, name this version,
 * which must be there. What outlives the command (a service, a restore_command) names the link. A
 * link that is there already stays without `replaces`: the service of a backup server runs behind
 * it, and only `up` restarts that.
 */
export async function makeCurrent(
  context: ClusterContext,
  host: Host,
  { replaces }: { readonly replaces: boolean },
): Promise<void> {
  const source = await context.serviceSource()
  const link = posix.join(packagesFolderOf(source), posix.basename(CURRENT_LINK))
  if (!replaces && (await host.inspect(link)) !== undefined) return
  await host.remove(`${link}.backstay-new`)
  await runChecked(host, ['sh', '-c', LINK, 'sh', packageDirectoryOf(source), link])
  await host.writeFile(PROGRAM_LINK, LAUNCHER, { mode: 0o755 })
  await letNamesLast(host, packagesFolderOf(source))
}

/** A Node.js that needs a newer system library says so instead of starting. */
async function whyNotRunning(host: Host, command: readonly string[]): Promise<string | undefined> {
  const result = await host.run([...command, '--version'], { timeoutMs: PROBE_TIMEOUT_MS })
  return result.exitCode === 0
    ? undefined
    : lastLines(result.stderr, 3) || `exit code ${result.exitCode}`
}

function cannotInstall(host: Host, why: string): BackstayError {
  return new BackstayError('HOST_COMMAND', `Cannot install Backstay on "${host.name}": ${why}`, {
    hint: 'Run Backstay on a machine of the same kind, with a login that is root there or becomes it with sudo.',
    details: { host: host.name },
  })
}
