/**
 * What makes a standby follow: its file, its signal, and whether the server has read them. Pure.
 */
import { parseConninfo } from '../../postgres/conninfo.ts'
import { versionFacts } from '../../postgres/version.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
import type { PrimaryOfPlan } from './attach-plan.ts'
import type { Effect } from './configuration.ts'
import { added, diffLines } from './diff.ts'
import type { MemberFound } from '../../cluster/leader.ts'
import { readSettings } from './overrides.ts'
import { type Problem, warning } from '../../cluster/problem.ts'
import { standbyFileWanted } from './standby-settings.ts'
import { type Step, step } from './step.ts'
import { signalFilePath, standbyFilePath } from '../../cluster/file-paths.ts'

/** A standby as found, and the primary it has to follow. */
export interface StandbyPlace {
  readonly found: MemberFound
  readonly primary: PrimaryOfPlan
}

/** Steps that write files, and what a running server needs to read them. */
export interface Following {
  readonly steps: readonly Step[]
  readonly effect: Effect
  readonly reason: string
}

/** The files that make it follow, and whether what it runs with came from them. */
export function planFollowing(
  wanted: ClusterWanted,
  server: ServerWanted,
  place: StandbyPlace,
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
      { title: 'put standby.signal back', reason, diff: [added(signal)] },
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
export function conninfoProblems(
  wanted: ClusterWanted,
  server: ServerWanted,
  place: StandbyPlace,
): readonly Problem[] {
  const override = readSettings(place.found.files.autoConf).get('primary_conninfo')
  if (override === undefined || versionFacts(wanted.postgres.version).recoveryConf) return []
  const file = standbyFileWanted(wanted, server, place.primary.wanted)
  const ours = readSettings(file).get('primary_conninfo')
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
