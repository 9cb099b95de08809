/**
 * The steps that bring an existing standby back to following the primary. Pure. A directory that
 * may hold something nobody else has is never made a standby here: that is rejoin's and reclone's
 * work.
 */
import { AHEAD, isAhead } from '../../cluster/replication.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
import { attachSteps } from './attach-plan.ts'
import { planConfiguration, strongest } from './configuration.ts'
import { conninfoProblems, planFollowing, type StandbyPlace } from './following.ts'
import { isPrimaryLike, type MemberFound } from '../../cluster/leader.ts'
import { type Problem, warning } from '../../cluster/problem.ts'
import { restoreLeftSteps, withEffectOf, withoutRestoreLeft } from './restore-left.ts'
import {
  directorySteps,
  effectSteps,
  passfileSteps,
  type ServerPlan,
  sqlProblems,
} from './server-plan.ts'
import { settingsWanted } from '../../cluster/settings.ts'
import { leftSlotSteps } from './slot-plan.ts'
import { floorsFor } from './standby-floors.ts'
import { unitSteps } from './unit-plan.ts'

/**
 * Plans the steps for a standby that is there. A former primary, or one that went another way, gets
 * none but a problem that names the command for it. Pure.
 */
export function planStandby(
  wanted: ClusterWanted,
  server: ServerWanted,
  place: StandbyPlace,
): ServerPlan {
  const { found, primary } = place
  const trouble = lineageProblems(found, primary.found)
  if (trouble.length > 0) return { steps: [], problems: trouble }
  const settings = settingsWanted(wanted, server, {
    floors: floorsFor(found, primary.found),
    isSynchronous: true,
  })
  const left = restoreLeftSteps(found, server.directory)
  const clean = { ...place, found: withoutRestoreLeft(found) }
  const configuration = withEffectOf(left, planConfiguration(wanted, clean.found, settings))
  const following = planFollowing(wanted, server, place)
  const effect = strongest([configuration.effect, following.effect])
  const silence = sqlProblems(found, { effect })
  const isDisturbed = effect === 'restart' || left.length > 0 || following.steps.length > 0
  return {
    steps: [
      ...directorySteps(found),
      ...passfileSteps(server, found),
      ...left,
      ...configuration.steps,
      ...following.steps,
      ...unitSteps(wanted, server, found),
      ...effectSteps(found, {
        effect,
        reason: configuration.reason || following.reason,
      }),
      ...leftSlotSteps(found),
      ...(silence.length > 0 ? [] : attachSteps(found, primary, isDisturbed)),
    ],
    problems: [
      ...configuration.problems,
      // One standby that does not answer (it may still recover) is no reason to leave the others
      // alone.
      ...silence.map((problem) => ({ ...problem, severity: 'warning' as const })),
      ...conninfoProblems(wanted, server, clean),
    ],
  }
}

/** A directory that was a primary, or that went another way than the primary did. */
function lineageProblems(found: MemberFound, primary: MemberFound | undefined): readonly Problem[] {
  if (isPrimaryLike(found)) {
    return [
      warning(found.name, {
        code: 'SPLIT_BRAIN',
        message: `Server "${found.name}" holds a former primary (timeline ${found.directory.timeline}); "${primary?.name ?? ''}" is primary now`,
        hint: `Let it follow again: backstay rejoin ${found.name}.`,
      }),
    ]
  }
  if (found.directory.isCrashedPrimary === true && found.running === undefined) {
    return [
      warning(found.name, {
        code: 'NOT_READY',
        message: `Server "${found.name}" was a primary when it crashed: its WAL has to be read before it may follow "${primary?.name ?? ''}"`,
        hint: `Run: backstay rejoin ${found.name}.`,
      }),
    ]
  }
  if (found.directory.fence !== undefined) {
    return [
      warning(found.name, {
        code: 'NOT_READY',
        message: `Standby "${found.name}" was fenced by a failover: ${found.directory.fence}`,
        hint: `Once nothing that only it holds is needed: backstay rejoin ${found.name}. Its old directory is kept.`,
      }),
    ]
  }
  return partedProblems(found, primary)
}

function partedProblems(found: MemberFound, primary: MemberFound | undefined): readonly Problem[] {
  if (isAhead(primary?.sql, found)) {
    return [
      warning(found.name, {
        code: 'POSTGRES_IDENTITY',
        message: `Standby "${found.name}" does not follow: ${AHEAD} on its primary "${primary?.name ?? ''}", which was set back to an older state or has lost WAL`,
        hint: `Find out which one holds the data you want; then: backstay rejoin ${found.name}.`,
      }),
    ]
  }
  const newest = primary === undefined ? Number.POSITIVE_INFINITY : timelineOf(primary)
  if (timelineOf(found) <= newest) return []
  return [
    warning(found.name, {
      code: 'POSTGRES_IDENTITY',
      message: `Standby "${found.name}" is on timeline ${timelineOf(found)}, its primary "${primary?.name ?? ''}" on ${newest}: they have gone different ways`,
      hint: `Find out which one holds the data you want; then: backstay rejoin ${found.name}.`,
    }),
  ]
}

function timelineOf(member: MemberFound): number {
  return Math.max(member.sql?.timeline ?? 0, member.directory.timeline)
}
