/**
 * The files of one existing server against what they should hold, and what it takes to bring them
 * into force: nothing, a reload or a restart. Pure; the same for primary and standby.
 */
import { readHbaBlock } from '../../postgres/hba-block.ts'
import { type HbaPlaced, placeHbaBlock } from '../../postgres/hba-order.ts'
import { withoutDoorLines } from '../../restore/door-lines.ts'
import {
  ensureManagedInclude,
  formatManagedConf,
  MANAGED_CONF_NAME,
} from '../../postgres/managed-conf.ts'
import { sameSettingValue } from '../../postgres/setting-value.ts'
import { versionFacts } from '../../postgres/version.ts'
import type { SettingFound } from '../../cluster/found-sql.ts'
import { STANDBY_CONF_NAME } from '../../cluster/names.ts'
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { accessLines } from './access.ts'
import { diffLines } from './diff.ts'
import type { MemberFound } from '../../cluster/leader.ts'
import { overriddenNames, overrideProblems, readSettings } from './overrides.ts'
import { type Problem, warning } from '../../cluster/problem.ts'
import type { Settings } from '../../cluster/settings.ts'
import { type Step, step } from './step.ts'
import { managedConfPath } from '../../cluster/file-paths.ts'

/** What a change needs to come into force. */
export type Effect = Step['effect']

/** The steps that write files, and what has to follow them on a running server. */
export interface ConfigurationPlan {
  readonly steps: readonly Step[]
  readonly effect: Effect
  /** Why, for the step that carries the effect out. */
  readonly reason: string
  readonly problems: readonly Problem[]
}

/**
 * The text of backstay.conf: our settings, and the way to what makes the server a standby (12+).
 */
export function managedConfText(wanted: ClusterWanted, settings: Settings): string {
  const text = formatManagedConf(settings)
  return versionFacts(wanted.postgres.version).recoveryConf
    ? text
    : `${text}include_if_exists = '${STANDBY_CONF_NAME}'\n`
}

/**
 * Compares a server's files, and what it runs with, with what is wanted; plans the steps that write
 * them, and says what has to follow: nothing, a reload or a restart. Pure.
 */
export function planConfiguration(
  wanted: ClusterWanted,
  server: MemberFound,
  settings: Settings,
): ConfigurationPlan {
  const { files } = server
  const parts = [
    planSettingsFile(wanted, server, settings),
    planInclude(server),
    planHba(wanted, server),
  ]
  const steps = parts.flatMap((part) => part.steps)
  const running = planRunning(server, settings)
  const effect = strongest([running.effect, ...parts.map((part) => part.effect)])
  const isUnread =
    server.sql !== undefined &&
    files.modifiedAtMs > server.sql.configLoadedAtMs &&
    effect === 'none'
  return {
    steps,
    effect: isUnread ? 'reload' : effect,
    reason: isUnread ? 'configuration files changed after they were last read' : running.reason,
    problems: [
      ...overrideProblems(server, settings),
      ...parts.flatMap((part) => part.problems ?? []),
    ],
  }
}

interface ConfigurationPart {
  readonly steps: readonly Step[]
  readonly effect: Effect
  readonly problems?: readonly Problem[]
}

const NOTHING: ConfigurationPart = { steps: [], effect: 'none' }

function planSettingsFile(
  wanted: ClusterWanted,
  server: MemberFound,
  settings: Settings,
): ConfigurationPart {
  const { files, name } = server
  const content = managedConfText(wanted, settings)
  if (files.settings === content) return NOTHING
  const path = managedConfPath(files.mainPath)
  const effect = fileEffect(server, settings)
  const reason =
    files.settings === undefined
      ? 'the settings file is missing'
      : 'settings differ from the cluster file'
  return {
    steps: [
      step(
        name,
        { action: 'file', file: 'settings', path, content, fallback: files.settings },
        {
          title: `write settings to ${MANAGED_CONF_NAME}`,
          reason,
          diff: diffLines(files.settings, content),
          effect,
        },
      ),
    ],
    effect,
  }
}

/**
 * What a changed settings file needs. Without an answer over SQL the port may be what changed: only
 * a restart is sure.
 */
function fileEffect(server: MemberFound, settings: Settings): Effect {
  if (server.running === undefined) return 'none'
  if (server.sql === undefined) return 'restart'
  const before = readSettings(server.files.settings)
  const removed = [...before.keys()].filter((name) => settings[name] === undefined)
  const effects = removed.map((name) => effectOf(server.sql?.settings.get(name)))
  return strongest(['reload', ...effects, planRunning(server, settings).effect])
}

/** `pg_settings.source` of values that hold for one session, one role or one database only. */
const OF_SESSION: readonly string[] = ['client', 'session', 'user', 'database', 'database user']

/** Running values against wanted ones: what is in the file but not in force. */
function planRunning(
  server: MemberFound,
  settings: Settings,
): { readonly effect: Effect; readonly reason: string } {
  const overridden = overriddenNames(server, settings)
  const stale = Object.entries(settings).filter(([name, value]) => {
    const running = server.sql?.settings.get(name)
    if (running === undefined || overridden.has(name)) return false
    // What this session says for itself hides what the others get.
    if (OF_SESSION.includes(running.source)) return false
    return !sameSettingValue(running.value, value, running)
  })
  const effect = strongest(stale.map(([name]) => effectOf(server.sql?.settings.get(name))))
  const names = stale.map(([name]) => name)
  return { effect, reason: names.length === 0 ? '' : `not in force yet: ${names.join(', ')}` }
}

function planInclude(server: MemberFound): ConfigurationPart {
  const { files, name } = server
  const content = ensureManagedInclude(files.main ?? '')
  if (files.main === content) return NOTHING
  return {
    steps: [
      step(
        name,
        { action: 'file', file: 'include', path: files.mainPath, content, fallback: files.main },
        {
          title: `include ${MANAGED_CONF_NAME} in postgresql.conf`,
          reason: 'our settings must be the last that are read',
          diff: diffLines(files.main, content),
          effect: server.running === undefined ? 'none' : 'reload',
        },
      ),
    ],
    effect: server.running === undefined ? 'none' : 'reload',
  }
}

function planHba(wanted: ClusterWanted, server: MemberFound): ConfigurationPart {
  const { files, name } = server
  const lines = accessLines(wanted, server.osUser)
  const major = wanted.postgres.version
  let placed: HbaPlaced
  let before: readonly string[] | undefined
  try {
    before = readHbaBlock(files.hba ?? '', major)
    placed = placeHbaBlock(withoutDoorLines(files.hba ?? ''), lines, major)
  } catch (error) {
    return { ...NOTHING, problems: [damagedHba(server, error)] }
  }
  const { content } = placed
  if (files.hba === content) return NOTHING
  const effect = server.running === undefined ? 'none' : 'reload'
  return {
    steps: [
      step(
        name,
        { action: 'file', file: 'hba', path: files.hbaPath, content, fallback: files.hba },
        {
          title: 'write the block of access lines in pg_hba.conf',
          reason: hbaReason(before, placed),
          diff: diffLines((before ?? []).join('\n'), lines.join('\n')),
          effect,
        },
      ),
    ],
    effect,
  }
}

function hbaReason(before: readonly string[] | undefined, { obstacle }: HbaPlaced): string {
  if (before === undefined) return 'the block is missing'
  return obstacle === undefined
    ? 'the block was changed'
    : `line ${obstacle.line} stands before the block and could shut Backstay out: ${obstacle.text}`
}

function damagedHba(server: MemberFound, error: unknown): Problem {
  const text = error instanceof Error ? error.message : String(error)
  return warning(server.name, {
    code: 'POSTGRES_FILE_INVALID',
    message: `Cannot edit "${server.files.hbaPath}" of server "${server.name}": ${text}`,
    hint: 'Remove both marks and the lines between them by hand, then run the command again.',
  })
}

/** What it takes to put a changed value of the setting into force. */
export function effectOf(setting: SettingFound | undefined): Effect {
  return setting?.context === 'postmaster' ? 'restart' : 'reload'
}

/** The one that includes the others. */
export function strongest(effects: readonly Effect[]): Effect {
  if (effects.includes('restart')) return 'restart'
  return effects.includes('reload') ? 'reload' : 'none'
}
