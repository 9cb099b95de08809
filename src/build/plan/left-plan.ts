/**
 * What is said of what Backstay once made and the cluster file no longer has. Nothing is done about
 * it unasked. Pure.
 */
import { postgresServiceOf } from '../../host/postgres-unit.ts'
import type { ClusterFound } from '../../cluster/found.ts'
import { sameServer } from '../../cluster/made.ts'
import { slotNameOf } from '../../cluster/names.ts'
import { serviceUnitOf } from '../../cluster/machine/service-source.ts'
import type { BackupWanted, ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
import { type Problem, warning } from '../../cluster/problem.ts'

/** One warning for each. */
export function leftProblems(wanted: ClusterWanted, found: ClusterFound): readonly Problem[] {
  const { left } = found
  if (left === undefined) return []
  const backup = left.backup === undefined ? [] : [leftBackup(wanted, found, left.backup)]
  return [...left.servers.map((server) => leftServer(wanted, server)), ...backup]
}

function leftServer(wanted: ClusterWanted, server: ServerWanted): Problem {
  const { name, host, directory } = server
  const { unit } = postgresServiceOf(wanted.name, name)
  const now = sameServer(server, wanted)
  const made = host.local
    ? `the server in ${directory}`
    : `${unit} on "${host.address}", which starts ${directory}`
  const what = `${made}, and slot "${slotNameOf(name)}"`
  if (now !== undefined) {
    return warning(name, {
      code: 'DRIFT',
      message: `Server "${name}" is "${now.name}" in the cluster file now; what Backstay made under the old name is left: ${what}`,
      hint: `Run: backstay rename ${name} ${now.name}`,
    })
  }
  return warning(name, {
    code: 'DRIFT',
    message: `Server "${name}" is not in the cluster file any more; what Backstay made of it is left: ${what}`,
    hint: `To stop it and take that away: backstay forget ${name}. Its data stay unless you say otherwise. To keep it, put it back into the file.`,
  })
}

function leftBackup(
  wanted: ClusterWanted,
  { hasLeftService = false }: ClusterFound,
  { name, host, repository, slot }: BackupWanted,
): Problem {
  const hasService = hasLeftService || !host.local
  const where = host.local ? 'on this machine' : `on "${host.address}"`
  const service = hasService ? `service ${serviceUnitOf(wanted.name)} ${where}, ` : ''
  return warning(name, {
    code: 'DRIFT',
    message: `Backup server "${name}" is not in the cluster file any more; what Backstay made of it is left: ${service}slot "${slot}", which keeps WAL on the primary, and the repository ${repository}`,
    hint: `To take service, slot and roles away: backstay forget ${name}. The repository stays. To keep it, put the backup part back into the file.`,
  })
}
