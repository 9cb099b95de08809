/**
 * What changed since the reference, by the block map of the WAL in between, and whether it vouches
 * for the files of this server.
 */
import { isBackstayError } from '../../errors/backstay-error.ts'
import type { BlockMap } from '../../postgres/block-map.ts'
import { type BackupInfo, hasTruePages } from '../../repository/backup-info.ts'
import { changedBlocks } from '../../wal/changed-blocks.ts'
import type { SqlClient } from '../../wire/sql-client.ts'
import type { BegunBackup } from '../files/backup-session.ts'
import { isWalMissing } from '../wal-availability.ts'
import type { ReceiveContext } from './receive-context.ts'
import type { MappedBlocks } from './receive-options.ts'

/** The WAL up to a backup's start is on its way when the server says the start. */
const WAL_TIMEOUT_MS = 30_000

/**
 * Undefined where the map does not vouch: then every page is compared. Why is told as a warning.
 * @throws {BackstayError} STORE; the signal's reason
 */
export async function mappedBlocks(
  context: ReceiveContext,
  reference: BackupInfo,
  { sql, begun }: { readonly sql: SqlClient; readonly begun: BegunBackup },
): Promise<MappedBlocks | undefined> {
  const { onEvent } = context.options
  const sinceMs = Date.parse(reference.startedAt)
  const known =
    whyReferenceIsNoMeasure(reference) ??
    (await whyFilesMayDiffer(context, reference, sql)) ??
    (await whyWalIsMissing(context, reference, begun)) ??
    (await mapOf(context, reference, begun))
  if (typeof known !== 'string') return { map: known, sinceMs }
  onEvent({ kind: 'warning', text: `Every page is compared, because ${known}` })
  return undefined
}

/** Pages of it that are not the server's are nowhere named. */
function whyReferenceIsNoMeasure(reference: BackupInfo): string | undefined {
  const { id, badPages, tornPages = [] } = reference
  const isWrong = badPages.count > 0 || tornPages.length > 0
  return isWrong || !hasTruePages(reference)
    ? `backup ${id} has pages that were wrong on the server, or not its own`
    : undefined
}

/** What changes files without WAL needs a server that is stopped, or another one's files. */
async function whyFilesMayDiffer(
  { options }: ReceiveContext,
  { id, source, startedAt }: BackupInfo,
  sql: SqlClient,
): Promise<string | undefined> {
  const { host, port } = options.connection
  if (source.host !== host || source.port !== port) {
    return `backup ${id} was taken from ${source.host}:${source.port}`
  }
  const { startedAtMs } = await sql.one<{ startedAtMs: number }>(
    'SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000)::float8 AS "startedAtMs"',
  )
  // Both times are of this machine's clock; WAL tells of a primary's stops whatever clocks say.
  const isSince = startedAtMs > Date.parse(startedAt)
  return isSince ? `the server was started after backup ${id} began` : undefined
}

async function whyWalIsMissing(
  { options, choice, wal }: ReceiveContext,
  { startLsn: referenceLsn }: BackupInfo,
  { timeline, startLsn: endLsn }: BegunBackup,
): Promise<string | undefined> {
  const vouched = choice.type === 'full' ? undefined : choice.wal.at(-1)?.endLsn
  const startLsn = vouched ?? referenceLsn
  if (startLsn >= endLsn) return undefined
  const wait = { timeoutMs: WAL_TIMEOUT_MS, finishedOnly: false, trustsHeld: true }
  try {
    await wal.ensure({ timeline, startLsn, endLsn }, { ...wait, signal: options.signal })
    return undefined
  } catch (error) {
    if (!isWalMissing(error) || !isBackstayError(error)) throw error
    return error.message
  }
}

async function mapOf(
  { cluster, options }: ReceiveContext,
  { startLsn }: BackupInfo,
  { timeline, startLsn: endLsn }: BegunBackup,
): Promise<BlockMap | string> {
  const range = { timeline, startLsn, endLsn }
  const { map, reason, stops = [] } = await changedBlocks(cluster, range, options.signal)
  if (map === undefined) return reason
  return stops.length === 0 ? map : 'the server was stopped since, or crashed'
}
