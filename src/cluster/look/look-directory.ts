/**
 * What lies in a data directory's place. Reads only, and says nothing about whether it may be used.
 */
import { historyTimelines } from '../../host/history-names.ts'
import { SMALL_FILE_BYTES } from '../../host/read-limit.ts'
import { posix } from 'node:path'
import { isBackstayError } from '../../errors/backstay-error.ts'
import { readFence } from '../../host/boot-guard.ts'
import type { Host } from '../../host/host.ts'
import {
  CONTROL_FILE_PATH,
  type ControlFile,
  parseControlFile,
} from '../../postgres/control-file.ts'
import { parseRecoveryConf } from '../../postgres/recovery-conf.ts'
import { parseSettingBoolean } from '../../postgres/setting-value.ts'
import { MARKER_NAME } from '../../restore/marker.ts'
import { MOST_LINKS } from '../../util/trusted-path.ts'
import { until } from '../../util/until.ts'
import { readMarkedTablespaces } from '../clone-mark.ts'
import type { ClusterContext } from '../context.ts'
import type { DataDirectoryFound, DirectoryFound } from '../found.ts'
import { CLONE_MARK_NAME } from '../names.ts'
import type { ServerWanted } from '../wanted.ts'

const NAMES_SHOWN = 3
/** The server rewrites pg_control in place: a copy taken meanwhile can be torn. */
const TORN_READ_TIMEOUT_MS = 1000

/** Looks at the directory of `server`. */
export async function lookDirectory(
  context: ClusterContext,
  host: Host,
  server: ServerWanted,
): Promise<DirectoryFound> {
  const path = server.directory
  const place = await lookPlace(host, path)
  if (place === undefined) return { state: 'missing' }
  if (place.kind !== 'directory') return { state: 'foreign', content: `it is a ${place.kind}` }
  const names = (await host.list(path)) ?? []
  const note = await context.state.readInitdbNote(server.name)
  // The postmaster leaves postmaster.opts on its first start: from then on somebody may have stored
  // something.
  const isNoted = note?.directory === path
  if (isNoted && !names.includes('postmaster.opts')) {
    const { osUser: user } = await context.machineOf(server)
    return { state: 'initdb-unfinished', workerPid: await findInitdb(host, { path, user }) }
  }
  if (names.length === 0) return { state: 'empty', owner: place.owner, mode: place.mode }
  const hasMark = names.includes(CLONE_MARK_NAME)
  if (hasMark && (await host.inspect(posix.join(path, CONTROL_FILE_PATH))) === undefined) {
    return { state: 'clone-unfinished', tablespaces: await readMarkedTablespaces(host, path) }
  }
  // What a clone from a backup left when it died is emptied by the next.
  const isRestore = server.clonesFromBackup === true && names.includes(MARKER_NAME)
  if (isRestore && (await host.inspect(posix.join(path, CONTROL_FILE_PATH))) === undefined) {
    return { state: 'empty', owner: place.owner, mode: place.mode }
  }
  return lookData(context, host, { ...place, path, names, hasMark, isNoted })
}

interface DirectoryInfo {
  readonly kind: string
  readonly owner: string
  readonly mode: number
}

/** A data directory may be a link to the real one, or to another link. */
async function lookPlace(host: Host, path: string): Promise<DirectoryInfo | undefined> {
  let at = path
  for (let links = 0; ; links += 1) {
    const info = await host.inspect(at)
    if (info?.kind !== 'link' || info.target === undefined || links >= MOST_LINKS) return info
    at = posix.resolve(posix.dirname(at), info.target)
  }
}

interface DataPlace extends DirectoryInfo {
  readonly path: string
  readonly names: readonly string[]
  readonly hasMark: boolean
  readonly isNoted: boolean
}

async function lookData(
  context: ClusterContext,
  host: Host,
  place: DataPlace,
): Promise<DirectoryFound> {
  const { path, names, owner, mode } = place
  const version = (await host.readFile(posix.join(path, 'PG_VERSION'), SMALL_FILE_BYTES))
    ?.toString()
    .trim()
  if (version === undefined) return { state: 'foreign', content: describe(names) }
  const control = await readControl(context, host, path)
  if (typeof control === 'string') return { state: 'foreign', content: control }
  const isFollowing = await isStandby(host, place)
  return {
    state: 'data',
    owner,
    mode,
    major: Number.parseInt(version, 10),
    control,
    timeline: await newestTimeline(host, path, control),
    isStandby: isFollowing,
    isRecovering: !isFollowing && isRecovering(names),
    isCrashedPrimary: isFollowing && hasCrashed(control) && !names.includes('backup_label'),
    ...(isFollowing ? await lookFence(host, path) : {}),
    hasStaleMark: place.hasMark,
    hasStaleNote: place.isNoted,
  }
}

async function lookFence(
  host: Host,
  directory: string,
): Promise<Pick<DataDirectoryFound, 'fence'>> {
  const fence = await readFence({ host, directory })
  return fence?.by === 'failover' ? { fence: fence.reason } : {}
}

function describe(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).map((name) => `"${name}"`)
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : ''
  return `it is not empty and no PostgreSQL data directory: it holds ${shown.join(', ')}${more}`
}

async function readControl(
  context: ClusterContext,
  host: Host,
  path: string,
): Promise<ControlFile | string> {
  let reason = 'it has PG_VERSION but no pg_control: something removed it, or a copy did not finish'
  const control = await until(
    async () => {
      const bytes = await host.readFile(posix.join(path, CONTROL_FILE_PATH), SMALL_FILE_BYTES)
      if (bytes === undefined) return undefined
      try {
        return parseControlFile(bytes)
      } catch (error) {
        if (!isBackstayError(error, 'POSTGRES_FILE_INVALID')) throw error
        reason = error.message
        return undefined
      }
    },
    { clock: context.clock, signal: context.signal, timeoutMs: TORN_READ_TIMEOUT_MS },
  )
  return control ?? reason
}

/**
 * pg_control learns of a new timeline at the first checkpoint; the history file is written at the
 * promotion.
 */
async function newestTimeline(host: Host, path: string, control: ControlFile): Promise<number> {
  const folder = posix.join(path, 'pg_wal')
  const newest = historyTimelines(folder, (await host.list(folder)) ?? []).at(-1) ?? 0
  return Math.max(control.checkpoint.timeline, control.minRecoveryTimeline, newest)
}

async function isStandby(host: Host, place: DataPlace): Promise<boolean> {
  if (place.names.includes('standby.signal')) return true
  if (!place.names.includes('recovery.conf')) return false
  const text = (await host.readFile(posix.join(place.path, 'recovery.conf')))?.toString() ?? ''
  try {
    return parseSettingBoolean(parseRecoveryConf(text).get('standby_mode') ?? '') === true
  } catch {
    return false
  }
}

/**
 * A standby is in archive recovery from its first checkpoint on; a clone of a primary that runs has
 * a label until then.
 */
function hasCrashed({ state }: ControlFile): boolean {
  return state === 'in production' || state === 'in crash recovery'
}

function isRecovering(names: readonly string[]): boolean {
  return names.includes('recovery.signal') || names.includes('recovery.conf')
}

/**
 * Pid of an initdb of `user` that still works in `path`: its parent was killed, it was not. Anybody
 * may call a process so.
 */
async function findInitdb(
  host: Host,
  { path, user }: { readonly path: string; readonly user: string },
): Promise<number | undefined> {
  const { stdout } = await host.run(['sh', '-c', 'grep -la initdb /proc/[0-9]*/cmdline'])
  for (const file of stdout.split('\n').filter((line) => line !== '')) {
    const words = (await host.readFile(file))?.toString().split('\0') ?? []
    const isInitdb = posix.basename(words[0] ?? '') === 'initdb'
    if (!isInitdb || !words.includes(`--pgdata=${path}`)) continue
    const process = await host.inspect(posix.dirname(file))
    if (process?.owner === user) return Number(posix.basename(posix.dirname(file)))
  }
  return undefined
}
