/**
 * The steps of a standby: cloned from the primary, or brought back to following it. Pure.
 * A directory that may hold something nobody else has is never a standby to be made: that is rejoin's and reclone's work.
 */
import { parseConninfo } from '../../postgres/conninfo.ts'
import { settingsOf } from '../../postgres/conf-file.ts'
import { formatSize } from '../../util/size.ts'
import { versionFacts } from '../../postgres/version.ts'
import type { ControlParameters } from '../../postgres/control-file.ts'
import { CLONE_MARK_NAME, isOurSlotName, passfilePathOf } from '../names.ts'
import type { RoomFound, ServerFound } from '../found.ts'
import type { SqlFound } from '../found-sql.ts'
import type { ClusterWanted, ServerWanted } from '../wanted.ts'
import { type Effect, planConfiguration, strongest } from './configuration.ts'
import { diffLines } from './diff.ts'
import { isPrimaryLike, type MemberFound } from './leader.ts'
import {
  directorySteps,
  effectSteps,
  passfileStep,
  passfileSteps,
  type ServerPlan,
  sqlProblems,
} from './primary-plan.ts'
import { blocker, type Problem, warning } from './problem.ts'
import {
  STANDBY_FLOOR_SETTINGS,
  type SettingsContext,
  settingsWanted,
  type StandbyFloorSetting,
} from './settings.ts'
import { signalFilePath, standbyFilePath, standbyFileWanted } from './standby-settings.ts'
import { type Step, step } from './step.ts'

/** The primary a standby is planned for; `found` is undefined while it is still to be built. */
export interface PrimaryOfPlan {
  readonly wanted: ServerWanted
  readonly found: MemberFound | undefined
}

/** A standby whose directory is missing, empty, or was left half-filled by us. */
export function planClone(
  wanted: ClusterWanted,
  server: ServerWanted,
  place: { readonly found: ServerFound; readonly primary: PrimaryOfPlan },
): ServerPlan {
  const { found, primary } = place
  const standby = standbyFileWanted(wanted, server, primary.wanted)
  const steps = [
    ...directorySteps(found),
    passfileStep(server, 'missing'),
    step(
      server.name,
      { action: 'clone', source: primary.wanted.name },
      {
        title: `clone "${primary.wanted.name}" into ${server.directory}`,
        reason: cloneReason(found),
        diff: [
          ...diffLines(undefined, standby),
          { sign: '+', text: `port = ${server.port}` },
          { sign: '+', text: `password file ${passfilePathOf(server.directory)}` },
        ],
      },
    ),
    step(server.name, { action: 'start' }, { title: 'start PostgreSQL', reason: 'it is new' }),
    attachStep(server.name, primary, 'the clone has to follow the primary'),
  ]
  return { steps, problems: roomProblems(server, found.room) }
}

/** A standby that exists. */
export function planStandby(
  wanted: ClusterWanted,
  server: ServerWanted,
  place: { readonly found: MemberFound; readonly primary: PrimaryOfPlan },
): ServerPlan {
  const { found, primary } = place
  const trouble = lineageProblems(found, primary.found)
  if (trouble.length > 0) return { steps: [], problems: trouble }
  const settings = settingsWanted(wanted, server, {
    floors: floorsFor(found, primary.found),
    isSynchronous: true,
  })
  const configuration = planConfiguration(wanted, found, settings)
  const following = planFollowing(wanted, server, place)
  const effect = strongest([configuration.effect, following.effect])
  return {
    steps: [
      ...directorySteps(found),
      ...passfileSteps(server, found),
      ...configuration.steps,
      ...following.steps,
      ...effectSteps(found, {
        effect,
        reason: configuration.reason || following.reason,
      }),
      ...foreignSlotSteps(found),
      ...attachSteps(found, primary, effect === 'restart' || following.steps.length > 0),
    ],
    problems: [
      ...configuration.problems,
      ...sqlProblems(found, { effect }),
      ...conninfoProblems(wanted, server, place),
    ],
  }
}

function cloneReason(found: ServerFound): string {
  const { state } = found.directory
  if (state === 'clone-unfinished') return 'an earlier clone did not finish'
  if (state === 'initdb-unfinished') return 'an initdb did not finish there'
  return state === 'empty' ? 'the directory is empty' : 'there is no data directory'
}

/** Disk space, and tablespaces that would land on somebody's files. */
function roomProblems(server: ServerWanted, room: RoomFound | undefined): readonly Problem[] {
  if (room === undefined) return []
  const occupied = room.tablespaces.filter((tablespace) => tablespace.isOccupied)
  return [
    ...occupied.map(({ source, target }) =>
      blocker(server.name, {
        code: 'DIRECTORY_FOREIGN',
        message: `Cannot clone to server "${server.name}": tablespace directory "${target}" holds files already`,
        hint: `Map it elsewhere in the cluster file: servers.${server.name}.tablespaces: { ${source}: <directory> }.`,
      }),
    ),
    ...room.shortages.map(({ path, neededBytes, freeBytes }) =>
      blocker(server.name, {
        code: 'DISK_SPACE',
        message: `Cannot clone to server "${server.name}": "${path}" has ${formatSize(freeBytes)} free, ${formatSize(neededBytes)} are needed`,
      }),
    ),
  ]
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

/** What the standby may not fall below: what the primary runs with, and what the standby has replayed of it. */
export function floorsFor(
  standby: MemberFound | undefined,
  primary: MemberFound | undefined,
): SettingsContext['floors'] {
  const entries = STANDBY_FLOOR_SETTINGS.flatMap((name): [StandbyFloorSetting, number][] => {
    const values = [
      parameterOf(standby?.directory.control.parameters, name),
      Number(primary?.sql?.settings.get(name)?.value ?? Number.NaN),
      parameterOf(primary?.directory.control.parameters, name),
    ].filter((value) => !Number.isNaN(value))
    return values.length === 0 ? [] : [[name, Math.max(...values)]]
  })
  return Object.fromEntries(entries)
}

/** The same, as a fresh clone's pg_control says it. */
export function floorsOfControl(parameters: ControlParameters): SettingsContext['floors'] {
  const entries = STANDBY_FLOOR_SETTINGS.map(
    (name) => [name, parameterOf(parameters, name)] as const,
  )
  return Object.fromEntries(entries.filter(([, value]) => !Number.isNaN(value)))
}

const PARAMETER_NAMES = {
  max_connections: 'maxConnections',
  max_worker_processes: 'maxWorkerProcesses',
  max_wal_senders: 'maxWalSenders',
  max_prepared_transactions: 'maxPreparedTransactions',
  max_locks_per_transaction: 'maxLocksPerTransaction',
} as const satisfies Record<StandbyFloorSetting, keyof ControlParameters>

function parameterOf(parameters: ControlParameters | undefined, name: StandbyFloorSetting): number {
  return parameters?.[PARAMETER_NAMES[name]] ?? Number.NaN
}

interface Following {
  readonly steps: readonly Step[]
  readonly effect: Effect
  readonly reason: string
}

/** The files that make it follow, and whether what it runs with came from them. */
function planFollowing(
  wanted: ClusterWanted,
  server: ServerWanted,
  place: { readonly found: MemberFound; readonly primary: PrimaryOfPlan },
): Following {
  const { found, primary } = place
  const content = standbyFileWanted(wanted, server, primary.wanted)
  const path = standbyFilePath(wanted, server, found.files.mainPath)
  const isWritten = found.files.standby === content
  const isUnread = isWritten && isReadBefore(wanted, found)
  const effect = isWritten && !isUnread ? 'none' : changeEffect(wanted, found)
  const file = step(
    server.name,
    { action: 'file', file: 'standby', path, content, fallback: undefined },
    {
      title: `point it at "${primary.wanted.name}"`,
      reason:
        found.files.standby === undefined
          ? 'what makes it follow is missing'
          : 'it was pointed elsewhere',
      diff: diffLines(found.files.standby, content),
      effect,
    },
  )
  return {
    steps: [...(isWritten ? [] : [file]), ...signalSteps(wanted, server, found)],
    effect,
    reason: effect === 'none' ? '' : 'primary_conninfo changed after it was last read',
  }
}

function signalSteps(
  wanted: ClusterWanted,
  server: ServerWanted,
  found: MemberFound,
): readonly Step[] {
  const signal = signalFilePath(wanted, server)
  if (signal === undefined || found.directory.isStandby) return []
  const reason = 'without it the server would start as a primary'
  return [
    step(
      server.name,
      { action: 'signal-file', path: signal },
      { title: 'put standby.signal back', reason, diff: [{ sign: '+', text: signal }] },
    ),
  ]
}

/** Whether the file is newer than what the server runs with. */
function isReadBefore(wanted: ClusterWanted, found: MemberFound): boolean {
  if (found.sql === undefined) return false
  const reloads = versionFacts(wanted.postgres.version).conninfoReloads
  const readAtMs = reloads ? found.sql.configLoadedAtMs : found.sql.startedAtMs
  return found.files.standbyModifiedAtMs > readAtMs
}

function changeEffect(wanted: ClusterWanted, found: MemberFound): Effect {
  if (found.running === undefined) return 'none'
  return versionFacts(wanted.postgres.version).conninfoReloads ? 'reload' : 'restart'
}

/** ALTER SYSTEM is the operator's; when it points a standby elsewhere that is told, not undone. */
function conninfoProblems(
  wanted: ClusterWanted,
  server: ServerWanted,
  place: { readonly found: MemberFound; readonly primary: PrimaryOfPlan },
): readonly Problem[] {
  const override = readSetting(place.found.files.autoConf, 'primary_conninfo')
  if (override === undefined || versionFacts(wanted.postgres.version).recoveryConf) return []
  const ours = readSetting(
    standbyFileWanted(wanted, server, place.primary.wanted),
    'primary_conninfo',
  )
  if (override === ours) return []
  return [
    warning(server.name, {
      code: 'DRIFT',
      message: `Standby "${server.name}" is pointed at ${placeOf(override)} by ALTER SYSTEM, which wins over the cluster file`,
      hint: 'Run: ALTER SYSTEM RESET primary_conninfo; then backstay up.',
    }),
  ]
}

function placeOf(conninfo: string): string {
  try {
    const { host = '', port = '' } = parseConninfo(conninfo)
    return `"${host}:${port}"`
  } catch {
    return 'another server'
  }
}

function readSetting(text: string | undefined, name: string): string | undefined {
  try {
    return settingsOf(text ?? '').get(name)
  } catch {
    return undefined
  }
}

/** Our slots on a standby are left over from when it was primary, and hold back WAL for nobody. */
function foreignSlotSteps(found: MemberFound): readonly Step[] {
  const slots = found.sql?.slots ?? []
  return slots
    .filter((slot) => slot.isPhysical && !slot.isActive && isOurSlotName(slot.name))
    .map(({ name }) =>
      step(
        found.name,
        { action: 'drop-slot', slot: name },
        {
          title: `drop slot "${name}"`,
          reason:
            'it is left from when this server was primary, and only keeps WAL from being removed',
          diff: [{ sign: '-', text: `physical slot ${name}` }],
        },
      ),
    )
}

function attachSteps(
  found: MemberFound,
  primary: PrimaryOfPlan,
  isDisturbed: boolean,
): readonly Step[] {
  if (found.running === undefined) return [attachStep(found.name, primary, 'it was stopped')]
  if (!isStreaming(primary.found?.sql, found)) {
    return [attachStep(found.name, primary, 'it does not stream')]
  }
  return isDisturbed ? [attachStep(found.name, primary, 'it has to stream again afterwards')] : []
}

/** Whether both ends say that the standby streams from this primary. */
export function isStreaming(primary: SqlFound | undefined, standby: ServerFound): boolean {
  const sender = primary?.senders.find((row) => row.applicationName === standby.name)
  return sender?.state === 'streaming' && standby.sql?.receiver?.status === 'streaming'
}

/** Waits until a standby streams. */
export function attachStep(server: string, primary: PrimaryOfPlan, reason: string): Step {
  return step(
    server,
    { action: 'attach', primary: primary.wanted.name },
    { title: `wait until it streams from "${primary.wanted.name}"`, reason },
  )
}

/** Marks and notes that outlived what they were for, and directories set aside that are not needed any more. */
export function tidySteps(found: ServerFound, directory: string): readonly Step[] {
  if (found.directory.state !== 'data') return []
  const steps: Step[] = []
  if (found.directory.hasStaleMark) {
    const path = `${directory}/${CLONE_MARK_NAME}`
    const text = { title: 'remove the mark of a finished clone', reason: 'the clone is whole' }
    steps.push(step(found.name, { action: 'remove-mark', path }, text))
  }
  if (found.directory.hasStaleNote) {
    const text = { title: 'forget a finished initdb', reason: 'the cluster is whole' }
    steps.push(step(found.name, { action: 'remove-note' }, text))
  }
  return steps
}
