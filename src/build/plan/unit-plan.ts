/**
 * The step that makes a server a service of its host, and the unit it writes. Pure.
 */
import { GUARD_TEXT } from '../../host/boot-guard.ts'
import { postgresServiceOf, postgresUnitText, unitPathOf } from '../../host/postgres-unit.ts'
import { dropInPath, type RivalUnit } from '../../host/rival-units.ts'
import type { ServerFound, ServiceFound } from '../../cluster/found.ts'
import { startLogPathOf } from '../../cluster/names.ts'
import { protectionVariables } from '../../cluster/protection.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
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
    ...(server.configFile === undefined ? {} : { configFile: server.configFile }),
    protection: protectionVariables(wanted),
    peers: wanted.servers.filter((other) => other.name !== server.name),
    ...machine,
  })
}

/**
 * One step, when the unit or the guard is missing or not as it has to be; none where systemd does
 * not start servers.
 */
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
  const rivals = (service.rivals ?? []).filter(({ isHeld }) => !isHeld)
  const isOurs = service.text === text && service.guard === GUARD_TEXT && service.isEnabled
  if (isOurs && rivals.length === 0) return []
  const { unit } = postgresServiceOf(wanted.name, server.name)
  return [
    step(
      server.name,
      { action: 'postgres-unit', unit },
      {
        title: `make it service ${unit}`,
        reason: unitReason(service, rivals),
        diff: [
          added(`${unitPathOf(unit)} (started at boot, unless another server is primary)`),
          ...rivals.map((rival) =>
            added(
              `${dropInPath(rival.unit)} (${rival.unit} starts nothing while ${unit} is there)`,
            ),
          ),
        ],
      },
    ),
  ]
}

function unitReason(service: ServiceFound, rivals: readonly RivalUnit[]): string {
  const names = rivals.map(({ unit }) => unit)
  if (names.length > 0) return `${names.join(', ')} would start the same data directory unasked`
  return service.text === undefined ? 'it would not start at boot' : 'it is not as it should be'
}
