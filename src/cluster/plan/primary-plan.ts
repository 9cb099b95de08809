/**
 * The steps of the primary: built from nothing, or brought back to what the cluster file says. Pure.
 */
import { passfilePathOf } from '../names.ts'
import type { ServerFound } from '../found.ts'
import type { SlotFound, SqlFound } from '../found-sql.ts'
import type { ClusterWanted, ServerWanted } from '../wanted.ts'
import { accessLines } from './access.ts'
import { type ConfigurationPlan, planConfiguration } from './configuration.ts'
import type { MemberFound } from './leader.ts'
import { blocker, type Problem, problemOf, warning } from './problem.ts'
import { roleChanges, rolesWanted } from './roles.ts'
import { type Settings, settingsWanted, synchronousWanted } from './settings.ts'
import { type SlotWanted, slotsWanted } from './slots.ts'
import { type DiffLine, type Step, step } from './step.ts'

/** Steps and problems of one server. */
export interface ServerPlan {
  readonly steps: readonly Step[]
  readonly problems: readonly Problem[]
}

/** A primary that does not exist yet: every step until it takes connections. */
export function planBuild(
  wanted: ClusterWanted,
  server: ServerWanted,
  found: ServerFound,
): ServerPlan {
  const settings = settingsWanted(wanted, server, { floors: {}, isSynchronous: false })
  const redo = found.directory.state === 'initdb-unfinished'
  const lines = Object.entries(settings).map(([name, value]) => added(`${name} = ${value}`))
  const { locale, encoding, checksums, version } = wanted.postgres
  return {
    problems: [],
    steps: [
      ...directorySteps(found),
      step(
        server.name,
        { action: 'initdb' },
        {
          title: `create the PostgreSQL ${version} cluster in ${server.directory}`,
          reason: redo ? 'an earlier initdb did not finish' : 'there is no data directory',
          diff: [
            added(
              `encoding ${encoding}, locale ${locale}, checksums ${checksums ? 'on' : 'off'}, port ${server.port}`,
            ),
            ...lines,
            ...accessLines(wanted).map(added),
          ],
        },
      ),
      passfileStep(server, 'missing'),
      step(server.name, { action: 'start' }, { title: 'start PostgreSQL', reason: 'it is new' }),
      ...roleSteps(wanted, server.name, []),
      ...slotsWanted(wanted, server.name).map((slot) => slotStep(server.name, slot, undefined)),
    ],
  }
}

/** A primary that exists. */
export function planPrimary(
  wanted: ClusterWanted,
  server: ServerWanted,
  found: MemberFound,
): ServerPlan {
  const settings = settingsWanted(wanted, server, {
    floors: {},
    isSynchronous: mayBeSynchronous(wanted, server, found),
  })
  const configuration = planConfiguration(wanted, found, settings)
  const sql = sqlPlan(wanted, server, found)
  return {
    steps: [
      ...directorySteps(found),
      ...passfileSteps(server, found),
      ...configuration.steps,
      ...effectSteps(found, configuration),
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

/** Start, restart or reload: what the server needs after its files were written. */
export function effectSteps(
  found: MemberFound,
  configuration: Pick<ConfigurationPlan, 'effect' | 'reason'>,
): readonly Step[] {
  const { name } = found
  if (found.running === undefined) {
    const { state } = found.directory.control
    const reason = state.startsWith('shut down') ? 'it is stopped' : `it died ("${state}")`
    return [step(name, { action: 'start' }, { title: 'start PostgreSQL', reason })]
  }
  const { effect, reason } = configuration
  if (effect === 'none') return []
  const title = effect === 'restart' ? 'restart PostgreSQL' : 'reload the configuration'
  const because = reason === '' ? 'so that the new configuration is in force' : reason
  return [step(name, { action: effect }, { title, reason: because, effect })]
}

/** Directories that have to be there before a start. */
export function directorySteps(found: ServerFound): readonly Step[] {
  return found.files.missingDirectories.map((path) =>
    step(
      found.name,
      { action: 'directory', path },
      { title: `make directory ${path}`, reason: 'it is missing', diff: [added(path)] },
    ),
  )
}

/** The password file of the OS user, when it is not as it should be. */
export function passfileSteps(server: ServerWanted, found: ServerFound): readonly Step[] {
  const { passfile } = found.files
  return passfile === 'ours' ? [] : [passfileStep(server, passfile)]
}

/** Writes the password file. */
export function passfileStep(server: ServerWanted, state: 'missing' | 'different'): Step {
  const path = passfilePathOf(server.directory)
  return step(
    server.name,
    { action: 'passfile', path },
    {
      title: `write password file ${path}`,
      reason: state === 'missing' ? 'it is missing' : 'it holds other passwords',
      diff: [added(`${path} (mode 600)`)],
    },
  )
}

/** A failed login is a problem only when no step of the plan could cure it. */
export function sqlProblems(
  found: MemberFound,
  configuration: Pick<ConfigurationPlan, 'effect'>,
): readonly Problem[] {
  if (found.running === undefined || found.sqlError === undefined) return []
  const isCurable = found.sqlError.code !== 'POSTGRES_AUTH' && configuration.effect !== 'none'
  return isCurable ? [] : [problemOf(found.name, found.sqlError)]
}

/** Once commits wait for standbys they go on doing so; they begin to when enough standbys stream. */
function mayBeSynchronous(
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

function roleSteps(
  wanted: ClusterWanted,
  server: string,
  found: SqlFound['roles'],
): readonly Step[] {
  return rolesWanted(wanted).flatMap((role) => {
    const existing = found.find((candidate) => candidate.name === role.name)
    const changes = roleChanges(role, existing, wanted.postgres.authentication)
    if (changes.length === 0) return []
    const title = existing === undefined ? 'create' : 'correct'
    return [
      step(
        server,
        { action: 'role', role },
        {
          title: `${title} role "${role.name}"`,
          reason: existing === undefined ? role.purpose : 'it is not as it should be',
          diff: changes.map(added),
        },
      ),
    ]
  })
}

function planSlot(server: string, slot: SlotWanted, slots: readonly SlotFound[]): ServerPlan {
  const existing = slots.find((candidate) => candidate.name === slot.name)
  if (existing === undefined) return { steps: [slotStep(server, slot, undefined)], problems: [] }
  if (!existing.isPhysical || existing.isTemporary) {
    const kind = existing.isPhysical ? 'temporary' : 'logical'
    const problem = warning(server, {
      code: 'DRIFT',
      message: `Slot "${slot.name}" of server "${server}" is ${kind}; "${slot.user}" needs a permanent physical slot of that name`,
      hint: `Drop it (SELECT pg_drop_replication_slot('${slot.name}')), then run the command again.`,
    })
    return { steps: [], problems: [problem] }
  }
  if (existing.walStatus !== 'lost') return { steps: [], problems: [] }
  return { steps: [slotStep(server, slot, existing)], problems: [] }
}

function slotStep(server: string, slot: SlotWanted, lost: SlotFound | undefined): Step {
  return step(
    server,
    { action: 'slot', slot: slot.name, replaces: lost !== undefined },
    {
      title: `${lost === undefined ? 'create' : 'recreate'} slot "${slot.name}"`,
      reason:
        lost === undefined
          ? `keeps WAL until "${slot.user}" has it`
          : 'the server gave its WAL up (wal_status "lost")',
      diff: [added(`physical slot ${slot.name}, reserving WAL at once`)],
    },
  )
}

/** Senders and slots that others hold, where no restart of this plan raises the limit. */
function limitProblems(
  slots: readonly SlotWanted[],
  { sql, name }: MemberFound,
  settings: Settings,
): readonly Problem[] {
  if (sql === undefined) return []
  const limitOf = (setting: string): number =>
    Math.max(Number(sql.settings.get(setting)?.value ?? 0), Number(settings[setting] ?? 0))
  return [
    ...limitProblem(name, 'max_replication_slots', {
      limit: limitOf('max_replication_slots'),
      used: sql.slots.map((slot) => slot.name),
      missing: slots.filter((slot) => !sql.slots.some((found) => found.name === slot.name)).length,
    }),
    ...limitProblem(name, 'max_wal_senders', {
      limit: limitOf('max_wal_senders'),
      used: sql.senders.map((sender) => sender.applicationName || `pid ${sender.pid}`),
      missing: slots.filter(
        ({ user }) => !sql.senders.some((sender) => sender.applicationName === user),
      ).length,
    }),
  ]
}

function limitProblem(
  server: string,
  setting: string,
  count: { readonly limit: number; readonly used: readonly string[]; readonly missing: number },
): readonly Problem[] {
  const { limit, used, missing } = count
  if (missing === 0 || used.length + missing <= limit) return []
  return [
    blocker(server, {
      code: 'POSTGRES_LIMIT',
      message: `Cannot add what the cluster needs to server "${server}": ${setting} is ${limit}, ${used.length} are in use (${used.join(', ')}) and ${missing} more are needed`,
      hint: `Free some, or raise ${setting} in postgres.parameters of the cluster file.`,
    }),
  ]
}

function added(text: string): DiffLine {
  return { sign: '+', text }
}
