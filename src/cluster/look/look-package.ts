/**
 * Whether this Backstay is on another machine, or could be.
 */
import { posix } from 'node:path'
import type { Host } from '../../host/host.ts'
import { runChecked } from '../../host/run-checked.ts'
import type { ClusterContext } from '../context.ts'
import type { PackageFound } from '../found.ts'
import { COMPLETE_NAME, packageDirectoryOf } from '../machine/service-source.ts'

/** Looks. @throws HOST_UNREACHABLE, HOST_COMMAND; BUG when the context has nothing to ship. */
export async function lookPackage(context: ClusterContext, host: Host): Promise<PackageFound> {
  const source = await context.serviceSource()
  const directory = packageDirectoryOf(source)
  const [uname, complete] = await Promise.all([
    runChecked(host, ['uname', '-m']),
    host.inspect(posix.join(directory, COMPLETE_NAME)),
  ])
  const architecture = uname.stdout.trim()
  return {
    version: source.version,
    directory,
    isThere: complete !== undefined,
    obstacle: obstacleOf(host, { architecture, own: source.architecture }),
  }
}

function obstacleOf(
  host: Host,
  { architecture, own }: { readonly architecture: string; readonly own: string },
): string | undefined {
  if (architecture !== own) return `it is a machine of kind ${architecture}, this one is ${own}`
  return host.user === 'root' ? undefined : `"${host.user}" is not root there`
}
