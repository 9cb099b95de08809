/**
 * The steps that install PostgreSQL where it is missing. Pure.
 */
import { postgresPackages } from '../../host/packages.ts'
import type { ServerFound } from '../../cluster/found.ts'
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { added } from './diff.ts'
import { type Step, step } from './step.ts'

/**
 * One step for each machine without PostgreSQL that has a package manager we know; several servers
 * may share one.
 */
export function installSteps(
  wanted: ClusterWanted,
  servers: readonly Pick<ServerFound, 'name' | 'packageManager' | 'machineId'>[],
): readonly Step[] {
  const { version } = wanted.postgres
  const seen = new Set<string>()
  return servers.flatMap(({ name, packageManager: manager, machineId = name }) => {
    if (manager === undefined || seen.has(machineId)) return []
    seen.add(machineId)
    return [
      step(
        name,
        { action: 'install', manager },
        {
          title: `install PostgreSQL ${version} with ${manager}`,
          reason: 'it is not there',
          diff: postgresPackages(manager, version).map((text) => added(`package ${text}`)),
        },
      ),
    ]
  })
}
