/**
 * The step that has systemd run `backstay serve` where the backup server is the machine Backstay
 * itself runs on. Pure.
 */
import { unitPathOf } from '../../host/postgres-unit.ts'
import type { ClusterFound, OwnServiceFound } from '../../cluster/found.ts'
import { serviceUnitOf } from '../../cluster/machine/service-source.ts'
import type { BackupWanted, ClusterWanted } from '../../cluster/wanted.ts'
import { added } from './diff.ts'
import { type Problem, warning } from '../../cluster/problem.ts'
import type { ServerPlan } from './server-plan.ts'
import { type Step, step } from './step.ts'

const NOTHING: ServerPlan = { steps: [], problems: [] }

/**
 * Nothing where systemd does not run or the operator is not root: `up` says that when it ends
 * (report/local-service.ts).
 */
export function planOwnService(
  wanted: ClusterWanted,
  { ownService: found }: ClusterFound,
): ServerPlan {
  const { backup, name } = wanted
  if (backup === undefined || found === undefined || typeof found === 'string') return NOTHING
  if ('code' in found) {
    const message = `Cannot make a service for backup server "${backup.name}": ${found.message}`
    return { steps: [], problems: [warning(backup.name, { ...found, message })] }
  }
  const unit = serviceUnitOf(name)
  if (found.otherFile !== undefined) return refused(foreignUnit(backup, unit, found.otherFile))
  if (found.isServedElse || isAsWanted(found)) return NOTHING
  if (found.obstacle !== undefined) return refused(cannotRun(backup, unit, found))
  return { steps: [serviceStep(backup, unit, found)], problems: [] }
}

function refused(problem: Problem): ServerPlan {
  return { steps: [], problems: [problem] }
}

function isAsWanted({ state, wantedText }: OwnServiceFound): boolean {
  return state.text === wantedText && state.isEnabled && state.activeState === 'active'
}

function serviceStep(
  { name }: BackupWanted,
  unit: string,
  { state, wantedText, osUser, configFile }: OwnServiceFound,
): Step {
  const isUp = state.activeState === 'active'
  const isWritten = state.text === wantedText && state.isEnabled
  const verb = isUp ? 'restart' : 'start'
  const text = `${unitPathOf(unit)} (started at boot; backstay serve as OS user ${osUser}, with ${configFile})`
  return step(
    name,
    { action: 'own-service', unit },
    {
      title: isWritten ? `${verb} service ${unit}` : `write and ${verb} service ${unit}`,
      reason: isUp ? 'Backstay or the cluster file has changed' : `it is ${state.activeState}`,
      diff: isWritten ? [] : [added(text)],
      effect: isUp ? 'restart' : 'none',
    },
  )
}

function foreignUnit({ name }: BackupWanted, unit: string, otherFile: string): Problem {
  return warning(name, {
    code: 'DRIFT',
    message: `Will not touch service ${unit}: it works for another cluster of this name, whose file is ${otherFile}`,
    hint: `Give one of the two clusters another name. If ${otherFile} is an old copy, remove it and run backstay up again.`,
  })
}

function cannotRun({ name }: BackupWanted, unit: string, found: OwnServiceFound): Problem {
  const { osUser, configFile, obstacle = '' } = found
  return warning(name, {
    code: 'HOST_PRIVILEGE',
    message: `Cannot make service ${unit}: OS user "${osUser}", who owns the repository, cannot run Backstay with ${configFile}: ${obstacle}`,
    hint: `Put what he cannot read where he can (the cluster file into /etc/backstay, with the directory .backstay beside it), and run backstay up again. Until then nothing starts it; run: backstay serve`,
  })
}
