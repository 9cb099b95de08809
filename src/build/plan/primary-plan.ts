/**
 * The steps that bring an existing primary back to what the cluster file says. Pure.
 */
import type { ServerFound } from '../../cluster/found.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
import { planConfiguration } from './configuration.ts'
import type { MemberFound } from '../../cluster/leader.ts'
import { limitProblems } from './limit-problems.ts'
import { restoreLeftSteps, withEffectOf, withoutRestoreLeft } from './restore-left.ts'
import { roleSteps } from './role-plan.ts'
import {
  directorySteps,
  effectSteps,
  passfileSteps,
  type ServerPlan,
  sqlProblems,
} from './server-plan.ts'
import { settingsWanted, synchronousWanted } from '../../cluster/settings.ts'
import { planSlot } from './slot-plan.ts'
import { slotsWanted } from '../../cluster/wanted-slots.ts'
import { unitSteps } from './unit-plan.ts'

/**
 * Plans it. Without an answer over SQL only files and process are planned: the rest is not known.
 */
export function planPrimary(
  wanted: ClusterWanted,
  server: ServerWanted,
  found: MemberFound,
): ServerPlan {
  const settings = settingsWanted(wanted, server, {
    floors: {},
    isSynchronous: mayBeSynchronous(wanted, server, found),
  })
  const left = restoreLeftSteps(found, server.directory)
  const configuration = planConfiguration(wanted, withoutRestoreLeft(found), settings)
  const sql = sqlPlan(wanted, server, found)
  return {
    steps: [
      ...directorySteps(found),
      ...passfileSteps(server, found),
      ...left,
      ...configuration.steps,
      ...unitSteps(wanted, server, found),
      ...effectSteps(found, withEffectOf(left, configuration)),
      ...sql.steps,
    ],
    problems: [
      ...configuration.problems,
      ...sqlProblems(found, configuration),
      ...sql.problems,
      ...limitProblems(slotsWanted(wanted, server.name), found, settings),
    ],
  }
}

/**
 * Once commits wait for standbys they go on doing so; they begin to when enough standbys stream.
 */
export function mayBeSynchronous(
  wanted: ClusterWanted,
  server: ServerWanted,
  { sql, files }: ServerFound,
): boolean {
  const synchronous = synchronousWanted(wanted, server)
  if (sql === undefined) return files.settings?.includes('synchronous_standby_names') === true
  if ((sql.settings.get('synchronous_standby_names')?.value ?? '') !== '') return true
  if (synchronous === undefined) return true
  const streaming = sql.senders.filter(
    (sender) => sender.state === 'streaming' && synchronous.names.includes(sender.applicationName),
  )
  return streaming.length >= synchronous.count
}

function sqlPlan(wanted: ClusterWanted, server: ServerWanted, found: MemberFound): ServerPlan {
  const { sql, name } = found
  if (sql === undefined) return { steps: [], problems: [] }
  const slots = slotsWanted(wanted, server.name).map((slot) => planSlot(name, slot, sql.slots))
  return {
    steps: [...roleSteps(wanted, name, sql.roles), ...slots.flatMap((plan) => plan.steps)],
    problems: slots.flatMap((plan) => plan.problems),
  }
}
