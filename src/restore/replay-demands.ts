/**
 * The settings that the WAL a restore will replay demands: the origin may have raised them after
 * the backup, and recovery pauses at such a change, or ends there, when the copy has less.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { type ConfSettings, includeKindOf, settingsOf } from '../postgres/conf-file.ts'
import { scanConf } from '../postgres/conf-scanner.ts'
import {
  findParameterChanges,
  higherDemands,
  type ReplayDemands,
} from '../postgres/parameter-change.ts'
import { parseSegmentName, segmentStart } from '../postgres/segment-name.ts'
import { DEFAULT_WAL_BLOCK_BYTES } from '../postgres/wal-page.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { readWalFile } from '../wal/read-wal-file.ts'
import { walFilesOf } from './path-files.ts'
import type { RestorePlan } from './plan.ts'

/** The settings, with what PostgreSQL takes when no file says anything. */
const SETTINGS = [
  ['max_connections', 'maxConnections', 100],
  ['max_worker_processes', 'maxWorkerProcesses', 8],
  ['max_wal_senders', 'maxWalSenders', 10],
  ['max_prepared_transactions', 'maxPreparedTransactions', 0],
  ['max_locks_per_transaction', 'maxLocksPerTransaction', 64],
] as const satisfies readonly (readonly [string, keyof ReplayDemands, number])[]

/**
 * What the plan's WAL demands; undefined when it says nothing. Reads all of it.
 * @throws {BackstayError} REPOSITORY_DAMAGED, STORE; the signal's reason.
 */
export async function surveyDemands(
  repository: ClusterRepository,
  plan: Pick<RestorePlan, 'path' | 'wal'>,
  signal?: AbortSignal,
): Promise<ReplayDemands | undefined> {
  const { segmentBytes } = repository.identity
  const names = walFilesOf(plan, segmentBytes)
  const found: ReplayDemands[] = []
  // Of a segment that is held under one of its two names only, the other reads as missing.
  let next = names[0] === undefined ? undefined : await contentOf(repository, names[0])
  for (const [index, name] of names.entries()) {
    signal?.throwIfAborted()
    const bytes = next
    const following = names[index + 1]
    next = following === undefined ? undefined : await contentOf(repository, following)
    const segment = parseSegmentName(name, segmentBytes)
    if (segment === undefined || bytes === undefined) continue
    const startLsn = segmentStart(segment, segmentBytes)
    const page = next?.subarray(0, DEFAULT_WAL_BLOCK_BYTES)
    const changes = findParameterChanges({ bytes, startLsn, segmentBytes, following: page })
    for (const change of changes) found.push(change)
  }
  return found.length === 0 ? undefined : found.reduce(higherDemands)
}

/** Undefined too for what is damaged: recovery does not come beyond it. */
async function contentOf(repository: ClusterRepository, name: string): Promise<Buffer | undefined> {
  try {
    return (await readWalFile(repository, name))?.content
  } catch (error) {
    if (isBackstayError(error, 'REPOSITORY_DAMAGED')) return undefined
    throw error
  }
}

/**
 * The lines a copy needs whose configuration is `files` (by name): each setting that is demanded,
 * unless the files are sure to say as much.
 */
export function demandedSettings(
  demands: ReplayDemands,
  files: ReadonlyMap<string, string>,
): Readonly<Record<string, string>> {
  const said = saidBy(files)
  const entries = SETTINGS.flatMap(([name, key, standard]): [string, string][] => {
    const demanded = demands[key]
    if (demanded === undefined) return []
    const isEnough = said !== undefined && Number(said.get(name) ?? standard) >= demanded
    return isEnough ? [] : [[name, String(demanded)]]
  })
  return Object.fromEntries(entries)
}

/** What the files say; undefined when other files may say more, or one of them cannot be read. */
function saidBy(files: ReadonlyMap<string, string>): ConfSettings | undefined {
  const conf = files.get('postgresql.conf')
  if (conf === undefined) return undefined
  const texts = [conf, files.get('postgresql.auto.conf') ?? '']
  if (texts.some(includesOthers)) return undefined
  try {
    return new Map(texts.flatMap((text) => [...settingsOf(text)]))
  } catch (error) {
    // What PostgreSQL refuses is for PostgreSQL to say.
    if (isBackstayError(error)) return undefined
    throw error
  }
}

function includesOthers(text: string): boolean {
  return scanConf(text).some(
    (line) => line.kind === 'directive' && includeKindOf(line) !== undefined,
  )
}
