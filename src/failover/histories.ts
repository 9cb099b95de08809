/**
 * The number of a new timeline. PostgreSQL takes the first for which it finds no history file: a
 * candidate that has not seen the file of a timeline that somebody else made would give its number
 * out again, and two timelines of one number cannot both be archived. So it is shown every history
 * file that anybody holds.
 */
import { historyTimelines } from '../host/history-names.ts'
import { SMALL_FILE_BYTES } from '../host/read-limit.ts'
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { formatHistoryName, parseWalFileName } from '../postgres/segment-name.ts'
import { parseTimelineHistory, switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import { formatSize } from '../util/size.ts'
import type { SqlClient } from '../wire/sql-client.ts'
import { type ClusterContext, factOf, type Machine } from '../cluster/context.ts'
import { repositoryThere } from '../cluster/repository-there.ts'
import type { ServerWanted } from '../cluster/wanted.ts'

/**
 * Of all history files of one place together: a thousand that tell of each other have 20 MB, and
 * the candidate has most of them.
 */
const HISTORIES_BYTES_MAX = 16 * 1024 * 1024
/** A failover waits for them. */
const HISTORIES_TIMEOUT_MS = 30_000

/** File name → content, of those that the candidate does not have. */
export type Histories = ReadonlyMap<string, Buffer>

/**
 * Looks for them in the repository and on all servers. Whoever does not answer is passed over, and
 * that is said: a failover cannot wait for him.
 */
export async function unseenHistories(
  context: ClusterContext,
  candidate: ServerWanted,
): Promise<Histories> {
  const machine = await context.machineOf(candidate)
  const own = await namesIn(machine, walOf(candidate))
  const others = context.wanted.servers.filter(({ name }) => name !== candidate.name)
  const found = await Promise.all([
    orPassOver(context, 'the backup server', async () => ofRepository(context, own)),
    ...others.map(async (server) =>
      orPassOver(context, `"${server.name}"`, async () => ofServer(context, server, own)),
    ),
  ])
  return new Map(found.flat())
}

/** Where a standby stands in recovery. */
interface Replayed {
  readonly timeline: number
  readonly lsn: Lsn | null
}

/**
 * The checkpoint's timeline may be behind the one received; what it was when recovery reached here
 * is what counts.
 */
const REPLAYED_QUERY = `
SELECT pg_last_wal_replay_lsn() AS lsn,
       coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                (SELECT greatest(min_recovery_end_timeline, timeline_id)
                   FROM pg_control_recovery(), pg_control_checkpoint())) AS timeline`

/**
 * Puts them into its pg_wal, just before its promotion. Those of lines that left the candidate's
 * ahead of it are left out: it would go there.
 */
export async function showHistories(
  context: ClusterContext,
  { server, histories }: { readonly server: ServerWanted; readonly histories: Histories },
  sql: SqlClient,
): Promise<void> {
  if (histories.size === 0) return
  const at = await sql.one<Replayed>(REPLAYED_QUERY)
  const { host, osUser: owner } = await context.machineOf(server)
  for (const [name, content] of histories) {
    const file = parseWalFileName(name)
    const history =
      file?.kind === 'history' ? parseTimelineHistory(file.timeline, content.toString()) : undefined
    if (history === undefined || !isBehind(history, at)) continue
    await host.writeFile(posix.join(walOf(server), name), content, { mode: 0o600, owner })
  }
}

/**
 * Whether a line left the standby's before where it is, so that it cannot be drawn onto it. Pure.
 */
export function isBehind(history: TimelineHistory, at: Replayed): boolean {
  if (history.timeline <= at.timeline) return true
  const left = switchPointOf(history, at.timeline)
  return left === undefined || (at.lsn !== null && left <= at.lsn)
}

type HistoryFiles = readonly (readonly [name: string, content: Buffer])[]

async function orPassOver(
  context: ClusterContext,
  who: string,
  work: () => Promise<HistoryFiles>,
): Promise<HistoryFiles> {
  try {
    return await work()
  } catch (error) {
    const { message } = factOf(error)
    const text = `The timelines that ${who} knows could not be looked at: ${message}`
    context.report({ kind: 'note', server: '', text })
    return []
  }
}

async function ofServer(
  context: ClusterContext,
  server: ServerWanted,
  own: readonly string[],
): Promise<HistoryFiles> {
  const machine = await context.machineOf(server)
  const folder = walOf(server)
  const names = (await namesIn(machine, folder)).filter((name) => !own.includes(name))
  return await readAll(context, { folder, names }, async (name) =>
    machine.host.readFile(posix.join(folder, name), SMALL_FILE_BYTES),
  )
}

async function ofRepository(
  context: ClusterContext,
  own: readonly string[],
): Promise<HistoryFiles> {
  const { backup } = context.wanted
  if (backup === undefined) return []
  const there = await repositoryThere(context, backup)
  const folder = posix.join(backup.repository, there.names.wal)
  const held = (await there.wal.listHistories()).map(formatHistoryName)
  const names = namesOf(folder, held).filter((name) => !own.includes(name))
  return await readAll(context, { folder, names }, async (name) =>
    there.wal.getHistory(parseWalFileName(name)?.timeline ?? 0),
  )
}

/**
 * @throws FAILED when they are more than a cluster has, or come too slowly: whoever made them must
 * not hold a failover up.
 */
async function readAll(
  { clock, signal }: ClusterContext,
  { folder, names }: { readonly folder: string; readonly names: readonly string[] },
  read: (name: string) => Promise<Buffer | undefined>,
): Promise<HistoryFiles> {
  const found: [string, Buffer][] = []
  const endsAtMs = clock.monotonic() + HISTORIES_TIMEOUT_MS
  let bytes = 0
  for (const name of names) {
    signal.throwIfAborted()
    if (clock.monotonic() > endsAtMs)
      throw tooMuch(folder, `can be read in ${HISTORIES_TIMEOUT_MS / 1000} s`)
    const content = await read(name)
    if (content === undefined) continue
    bytes += content.length
    if (bytes > HISTORIES_BYTES_MAX) throw tooMuch(folder, formatSize(HISTORIES_BYTES_MAX))
    found.push([name, content])
  }
  return found
}

function tooMuch(folder: string, limit: string): BackstayError {
  return new BackstayError(
    'FAILED',
    `Cannot read the history files of "${folder}": they are more than ${limit}`,
    { hint: 'No cluster has so much of them: look at them, and at who made them.' },
  )
}

async function namesIn({ host }: Machine, folder: string): Promise<readonly string[]> {
  return namesOf(folder, (await host.list(folder)) ?? [])
}

/** @throws FAILED when they are too many. */
function namesOf(folder: string, names: readonly string[]): readonly string[] {
  return historyTimelines(folder, names).map(formatHistoryName)
}

function walOf({ directory }: ServerWanted): string {
  return posix.join(directory, 'pg_wal')
}
