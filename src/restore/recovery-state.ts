/**
 * How far the recovery of a restored server is, from what recovery itself says: the position it
 * replayed to while it runs, and the history file of the timeline it began once it has ended. Its
 * log proves nothing.
 */
import { historyTimelines } from '../host/history-names.ts'
import { SMALL_FILE_BYTES } from '../host/read-limit.ts'
import { join } from 'node:path'
import { isBackstayError } from '../errors/backstay-error.ts'
import type { PostgresInstance } from '../host/postgres-instance.ts'
import { findPostmaster } from '../host/postmaster.ts'
import {
  CONTROL_FILE_PATH,
  type DatabaseState,
  parseControlFile,
} from '../postgres/control-file.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { formatHistoryName } from '../postgres/segment-name.ts'
import { parseTimelineHistory } from '../postgres/timeline.ts'
import type { SqlClient } from '../wire/sql-client.ts'
import type { RestorePlan } from './plan.ts'
import type { SideDoor } from './side-door.ts'

/** Where the server that is watched has its socket. */
export const SOCKET_DIRECTORY = '/tmp'

/** Where recovery stands still. */
export interface RecoveryFound {
  readonly state: 'paused' | 'promoted'
  /** First byte that was not replayed. */
  readonly lsn: Lsn
}

/** A recovery that is watched; dispose it to close the connection. */
export interface Recovering extends AsyncDisposable {
  readonly instance: PostgresInstance
  /** Undefined while it replays, or cannot be asked yet. */
  look(): Promise<RecoveryFound | undefined>
}

/** What is watched, and how it is asked. */
export interface RecoveryWatch {
  readonly instance: PostgresInstance
  readonly plan: Pick<RestorePlan, 'timeline'>
  readonly door: SideDoor
}

/** Watches a server that was started. */
export function recoveryState({ instance, plan, door }: RecoveryWatch): Recovering {
  let client: SqlClient | undefined
  const forget = async (): Promise<void> => {
    await client?.[Symbol.asyncDispose]()
    client = undefined
  }
  return {
    instance,
    async look() {
      if ((await stateOf(instance)) === 'in production') {
        const lsn = await whereLeft(instance, plan.timeline)
        return lsn === undefined ? undefined : { state: 'promoted', lsn }
      }
      client ??= await connect(instance, door)
      if (client === undefined) return undefined
      try {
        return await pausedAt(client)
      } catch (error) {
        // It may be ending: the next look sees what became of it.
        if (!isBackstayError(error)) throw error
        await forget()
        return undefined
      }
    },
    [Symbol.asyncDispose]: forget,
  }
}

async function connect(instance: PostgresInstance, door: SideDoor): Promise<SqlClient | undefined> {
  const postmaster = await findPostmaster(instance.host, instance.directory)
  if (postmaster?.port === undefined) return undefined
  return await door.connect(postmaster.socketDirectory ?? SOCKET_DIRECTORY, postmaster.port)
}

/**
 * From 14 on a pause is first asked for and then made: what was replayed counts once it is made.
 */
async function pausedAt(client: SqlClient): Promise<RecoveryFound | undefined> {
  const isPaused =
    client.major >= 14 ? `pg_get_wal_replay_pause_state() = 'paused'` : 'pg_is_wal_replay_paused()'
  const row = await client.one<{ paused: boolean | null; lsn: Lsn | null }>(
    `SELECT CASE WHEN pg_is_in_recovery() THEN ${isPaused} END AS paused, pg_last_wal_replay_lsn() AS lsn`,
  )
  return row.paused === true && row.lsn !== null ? { state: 'paused', lsn: row.lsn } : undefined
}

/** Where the timeline that was recovered was left for a new one. */
async function whereLeft(
  { host, directory }: PostgresInstance,
  timeline: number,
): Promise<Lsn | undefined> {
  const folder = join(directory, 'pg_wal')
  const newest = historyTimelines(folder, (await host.list(folder)) ?? []).at(-1)
  if (newest === undefined || newest <= timeline) return undefined
  const content = await host.readFile(join(folder, formatHistoryName(newest)), SMALL_FILE_BYTES)
  return content === undefined
    ? undefined
    : parseTimelineHistory(newest, content.toString())?.switches.at(-1)?.switchLsn
}

async function stateOf(instance: PostgresInstance): Promise<DatabaseState | undefined> {
  const content = await instance.host.readFile(
    join(instance.directory, CONTROL_FILE_PATH),
    SMALL_FILE_BYTES,
  )
  try {
    return content === undefined ? undefined : parseControlFile(content).state
  } catch {
    // Read while the server wrote it: the next look sees it whole.
    return undefined
  }
}
