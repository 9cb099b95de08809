/**
 * The steps that install Backstay on the backup server's machine and run its service there. Pure.
 */
import { unitPathOf } from '../../host/postgres-unit.ts'
import type { BackupHostFound, BackupHostSeen } from '../../cluster/found.ts'
import { serviceConfigOf, serviceUnitOf } from '../../cluster/machine/service-source.ts'
import type { BackupWanted, ClusterWanted } from '../../cluster/wanted.ts'
import { added, diffLines } from './diff.ts'
import { blocker, warning } from '../../cluster/problem.ts'
import type { ServerPlan } from './server-plan.ts'
import { type Step, step } from './step.ts'

const NOTHING: ServerPlan = { steps: [], problems: [] }

/** What comes before the repository: the OS user it belongs to. */
export function planServiceUser(
  wanted: ClusterWanted,
  found: BackupHostFound | undefined,
): ServerPlan {
  const { backup } = wanted
  if (backup === undefined || found?.seen === undefined || found.seen.hasUser) return NOTHING
  const { osUser: user } = found.seen
  const title = `make OS user "${user}"`
  const reason = 'the repository and the service are to be his'
  const diff = [added(`${user} (system user, home ${backup.repository})`)]
  const action = { action: 'service-user', user, home: backup.repository } as const
  return { steps: [step(backup.name, action, { title, reason, diff })], problems: [] }
}

/** What comes after the servers: package, cluster file, service. */
export function planService(wanted: ClusterWanted, found: BackupHostFound | undefined): ServerPlan {
  const { backup } = wanted
  if (backup === undefined || found === undefined) return NOTHING
  const { seen, hostError } = found
  if (seen === undefined) {
    const message = `Cannot look at backup server "${backup.name}": ${hostError?.message ?? ''}`
    const { code = 'HOST_UNREACHABLE', hint = '' } = hostError ?? {}
    return { steps: [], problems: [warning(backup.name, { code, message, hint })] }
  }
  if (seen.architecture !== seen.wanted.architecture) {
    return { steps: [], problems: [architectureProblem(backup, seen)] }
  }
  const files = [...packageSteps(backup, seen), ...fileSteps(wanted, backup, seen)]
  return {
    steps: [...files, ...serviceSteps(wanted, backup, { seen, isChanged: files.length > 0 })],
    problems: seen.usesSystemd ? [] : [noSystemd(backup)],
  }
}

function packageSteps(backup: BackupWanted, seen: BackupHostSeen): readonly Step[] {
  const { version, directory } = seen.wanted
  if (seen.version === version && seen.hasPackage) return []
  return [
    step(
      backup.name,
      { action: 'package', version, use: 'service' },
      {
        title: `install Backstay ${version} in ${directory}`,
        reason: seen.version === undefined ? 'it is missing' : `${seen.version} is in use there`,
        diff: [added(`${directory} (with its own Node.js)`)],
      },
    ),
  ]
}

function fileSteps(
  { name }: ClusterWanted,
  backup: BackupWanted,
  seen: BackupHostSeen,
): readonly Step[] {
  const { clusterFile } = seen.wanted
  const isOpen = seen.isClusterFileOpen === true
  if (seen.clusterFile === clusterFile && !isOpen) return []
  const reason = isOpen ? 'others may read it' : 'the cluster file has changed'
  const path = serviceConfigOf(name)
  return [
    step(
      backup.name,
      { action: 'service-file', path },
      {
        title: `write the cluster file to ${path}`,
        reason: seen.clusterFile === undefined ? 'it is missing' : reason,
        diff: diffLines(seen.clusterFile, clusterFile),
      },
    ),
  ]
}

function serviceSteps(
  { name }: ClusterWanted,
  backup: BackupWanted,
  state: { readonly seen: BackupHostSeen; readonly isChanged: boolean },
): readonly Step[] {
  const { unit, wanted } = state.seen
  if (unit === undefined) return []
  const service = serviceUnitOf(name)
  const isWritten = unit.text === wanted.unitText && unit.isEnabled
  const isUp = unit.activeState === 'active'
  if (isWritten && isUp && !state.isChanged) return []
  const verb = isUp ? 'restart' : 'start'
  return [
    step(
      backup.name,
      { action: 'service', unit: service },
      {
        title: isWritten ? `${verb} service ${service}` : `write and ${verb} service ${service}`,
        reason: isUp ? 'so that it runs what was installed' : `it is ${unit.activeState}`,
        diff: isWritten ? [] : [added(`${unitPathOf(service)} (started at boot)`)],
        effect: isUp ? 'restart' : 'none',
      },
    ),
  ]
}

function architectureProblem(backup: BackupWanted, seen: BackupHostSeen) {
  const { architecture, wanted } = seen
  return blocker(backup.name, {
    code: 'HOST_COMMAND',
    message: `Cannot install Backstay on backup server "${backup.name}": it is a machine of kind ${architecture}, this one is ${wanted.architecture}`,
    hint: 'Run Backstay on a machine of the same kind, or install the package there and run `backstay serve` yourself.',
  })
}

function noSystemd(backup: BackupWanted) {
  return warning(backup.name, {
    code: 'HOST_PRIVILEGE',
    message: `Cannot start the service on backup server "${backup.name}": systemd does not run there, or the login is not root`,
    hint: 'Run `backstay serve` there under the supervisor you have.',
  })
}
