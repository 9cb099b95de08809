/**
 * The step that makes a server a service of its host, and the unit it writes. Pure.
 */
import { GUARD_TEXT } from '../../host/boot-guard.ts'
import { postgresServiceOf, postgresUnitText, unitPathOf } from '../../host/postgres-unit.ts'
import type { ServerFound } from '../found.ts'
import { startLogPathOf } from '../names.ts'
import type { ClusterWanted, ServerWanted } from '../wanted.ts'
import { added } from './diff.ts'
import { isError } from './server-problems.ts'
import { type Step, step } from './step.ts'

/** The unit as it has to be. Its guard asks all other servers of the cluster file. */
export function unitTextWanted(
  wanted: ClusterWanted,
  server: ServerWanted,
  machine: { readonly programs: string; readonly osUser: string },
): string {
  return postgresUnitText({
    cluster: wanted.name,
    server: server.name,
    directory: server.directory,
    logFile: startLogPathOf(server.directory),
    role: wanted.replication.role,
    peers: wanted.servers.filter((other) => other.name !== server.name),
    ...machine,
  })
}

/** One step, when the unit or the guard is missing or not as it has to be; none where systemd does not start servers. */
export function unitSteps(
  wanted: ClusterWanted,
  server: ServerWanted,
  found: ServerFound,
): readonly Step[] {
  const { service, binaries, osUser } = found
  if (service === undefined) return []
  const text = isError(binaries)
    ? undefined
    : unitTextWanted(wanted, server, { programs: binaries.directory, osUser })
  if (service.text === text && service.guard === GUARD_TEXT && service.isEnabled) return []
  const { unit } = postgresServiceOf(wanted.name, server.name)
  return [
    step(
      server.name,
      { action: 'postgres-unit', unit },
      {
        title: `make it service ${unit}`,
        reason:
          service.text === undefined ? 'it would not start at boot' : 'it is not as it should be',
        diff: [added(`${unitPathOf(unit)} (started at boot, unless another server is primary)`)],
      },
    ),
  ]
}
