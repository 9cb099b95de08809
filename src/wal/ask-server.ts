/**
 * Asks a server what a receiver has to know before it streams, and makes its timeline's history
 * durable here first.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { formatHistoryName } from '../postgres/segment-name.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import { checkIdentity } from '../repository/cluster-repository.ts'
import { parseSize } from '../util/size.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { ConnectionOptions } from '../wire/connection-options.ts'
import type { ReplicationConnection } from '../wire/replication-connection.ts'
import { SqlClient } from '../wire/sql-client.ts'
import type { ChosenServer } from './choose-server.ts'
import { describeContested, storeOverPushed } from './contested.ts'
import { unlessDamaged } from './held-wal.ts'
import type { ReceiverOptions } from './receiver-options.ts'
import type { ServerFacts } from './start-position.ts'

/** SQLSTATE of CREATE_REPLICATION_SLOT when the slot is there. */
const DUPLICATE_OBJECT = '42710'

/**
 * Identity, position, history and slot of the server. History files of its timeline and of its
 * ancestors are in the repository when this resolves. What is held here must be looked up before:
 * it must not be newer than the server's position.
 * @throws {BackstayError} POSTGRES_IDENTITY, POSTGRES_VERSION, WAL_CONFLICT for another history of
 * a known timeline, …
 */
export async function askServer(
  server: Pick<ChosenServer, 'connection' | 'options'>,
  options: ReceiverOptions,
  signal: AbortSignal,
): Promise<ServerFacts> {
  const { repository } = options
  const { connection } = server
  const { systemIdentifier, timeline, flushLsn } = await connection.identifySystem({ signal })
  const segmentBytes = parseSize(await connection.show('wal_segment_size', { signal })) ?? 0
  checkIdentity(repository.identity, { systemIdentifier, major: connection.major, segmentBytes })
  const history = await keepHistory(connection, timeline, options)
  const slotRestartLsn = await prepareSlot(server, options, signal)
  return { systemIdentifier, timeline, flushLsn, history, slotRestartLsn }
}

/**
 * Stores the history files of `timeline` and of every ancestor; those held already are not asked
 * for.
 */
async function keepHistory(
  connection: ReplicationConnection,
  timeline: number,
  options: ReceiverOptions,
): Promise<TimelineHistory> {
  if (timeline === 1) return { timeline, switches: [] }
  const { wal } = options.repository
  const { history, content } = await connection.timelineHistory(timeline)
  await storeHistory(options, timeline, content)
  for (const { timeline: ancestor } of history.switches) {
    if (ancestor === 1 || (await unlessDamaged(async () => wal.getHistory(ancestor)))) continue
    try {
      const asked = await connection.timelineHistory(ancestor)
      await storeHistory(options, ancestor, asked.content)
    } catch (error) {
      // A server restored from a backup need not have the files of its ancestors; the newest one
      // names them all.
      if (!isBackstayError(error, 'POSTGRES_QUERY') && !isBackstayError(error, 'WAL_UNAVAILABLE')) {
        throw error
      }
    }
  }
  return history
}

/** What the primary says of its history wins over what came with a key. */
async function storeHistory(
  { repository, onEvent }: ReceiverOptions,
  timeline: number,
  content: Uint8Array,
): Promise<void> {
  const name = formatHistoryName(timeline)
  const store = async (): Promise<void> => {
    if ((await repository.wal.putHistory(timeline, content)) !== 'replaced') return
    onEvent({ kind: 'replaced', text: `${name} in the repository was damaged: replaced` })
  }
  const contested = await storeOverPushed(repository, name, store)
  if (contested !== undefined) onEvent({ kind: 'contested', text: describeContested(contested) })
}

/**
 * The slot's position. A missing slot is made, an invalidated one replaced: it has no position any
 * more and holds nothing back. Before 15 the session finds that out when the server refuses to
 * stream.
 */
async function prepareSlot(
  { connection, options: address }: Pick<ChosenServer, 'connection' | 'options'>,
  options: ReceiverOptions,
  signal: AbortSignal,
): Promise<ServerFacts['slotRestartLsn']> {
  const { slot } = options
  if (slot === undefined) return undefined
  if (connection.major < 15) {
    return await slotPositionBySql({ ...(options.sql ?? address), signal }, slot)
  }
  const found = await connection.readReplicationSlot(slot)
  if (found?.restartLsn !== undefined || !options.createSlot) return found?.restartLsn
  if (found === undefined) await createSlot(connection, options)
  else await replaceSlot(connection, options)
  return (await connection.readReplicationSlot(slot))?.restartLsn
}

/**
 * Before 15 only SQL tells where a slot is. Undefined where that is not allowed: a receiver that
 * holds nothing then begins at the server's present segment, although the slot has kept more.
 */
async function slotPositionBySql(
  options: ConnectionOptions & { readonly signal: AbortSignal },
  slot: string,
): Promise<Lsn | undefined> {
  try {
    await using sql = await SqlClient.connect(options)
    const query = `SELECT restart_lsn AS "restartLsn" FROM pg_replication_slots
      WHERE slot_name = $1 AND slot_type = 'physical'`
    const [found] = await sql.query<{ restartLsn: Lsn | null }>(query, [slot])
    return found?.restartLsn ?? undefined
  } catch (error) {
    options.signal.throwIfAborted()
    if (!isBackstayError(error)) throw error
    return undefined
  }
}

/** Makes the receiver's slot; it keeps WAL from now on. One that is there already is fine. */
export async function createSlot(
  connection: ReplicationConnection,
  options: ReceiverOptions,
): Promise<void> {
  const slot = options.slot as string
  try {
    await connection.createPhysicalSlot(slot)
    options.onEvent({ kind: 'slot-created', text: `Created slot "${slot}"` })
  } catch (error) {
    const isThere = error instanceof BackstayError && error.details['sqlstate'] === DUPLICATE_OBJECT
    if (!isThere) throw error
  }
}

/** Replaces a slot that is worth nothing any more. */
export async function replaceSlot(
  connection: ReplicationConnection,
  options: ReceiverOptions,
): Promise<void> {
  const slot = options.slot as string
  await connection.dropSlot(slot)
  await connection.createPhysicalSlot(slot)
  options.onEvent({
    kind: 'slot-created',
    text: `Replaced slot "${slot}", which did not hold the WAL needed`,
  })
}
