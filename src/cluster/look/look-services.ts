/**
 * What only hosts reached over ssh have: a package manager that may install PostgreSQL, and servers
 * as services of systemd.
 */
import { GUARD_PATH } from '../../host/boot-guard.ts'
import type { Host } from '../../host/host.ts'
import { findPackageManager, type PackageManager } from '../../host/packages.ts'
import { postgresServiceOf } from '../../host/postgres-unit.ts'
import { findRivals } from '../../host/rival-units.ts'
import { lookUnit } from '../../host/systemd.ts'
import type { ClusterContext, Machine } from '../context.ts'
import type { BinariesFound, FoundError, ServiceFound } from '../found.ts'
import type { ServerWanted } from '../wanted.ts'

/** Failures that installing PostgreSQL cures: no programs, no OS user to look for them as. */
const CURABLE = ['BINARIES_MISSING', 'HOST_PRIVILEGE']

/** The package manager, when PostgreSQL is missing and may be installed. */
export async function lookPackageManager(
  context: ClusterContext,
  { host }: Machine,
  place: { readonly server: ServerWanted; readonly binaries: BinariesFound | FoundError },
): Promise<PackageManager | undefined> {
  const { install, binaries: configured } = context.wanted.postgres
  const { server, binaries } = place
  const isMissing = 'code' in binaries && CURABLE.includes(binaries.code)
  if (server.host.local || !isMissing || configured !== undefined) return undefined
  if (install === false || host.user !== 'root') return undefined
  return await findPackageManager(host)
}

/** The unit and the guard; undefined where systemd does not start servers. */
export async function lookService(
  context: ClusterContext,
  { host, osUser, usesSystemd }: Machine,
  server: ServerWanted,
): Promise<ServiceFound | undefined> {
  if (!usesSystemd) return undefined
  const { unit: own } = postgresServiceOf(context.wanted.name, server.name)
  const [unit, guard, rivals] = await Promise.all([
    lookUnit(host, own),
    host.readFile(GUARD_PATH),
    findRivals(host, { directory: server.directory, osUser, unit: own }),
  ])
  return { ...unit, guard: guard?.toString(), rivals }
}

/** Where a machine says which one it is, and when it booted. */
export const MACHINE_ID_PATHS = ['/etc/machine-id', '/proc/sys/kernel/random/boot_id'] as const

/**
 * The machine, told apart from others: its own identifier alone may have been copied with its disk.
 */
export async function lookMachineId(host: Host): Promise<string | undefined> {
  const read = async (path: string): Promise<Buffer | undefined> => host.readFile(path)
  const [machine, boot] = await Promise.all(MACHINE_ID_PATHS.map(read))
  if (machine === undefined || boot === undefined) return undefined
  return `${machine.toString().trim()} ${boot.toString().trim()}`
}
