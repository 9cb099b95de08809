/**
 * Whether the server that pushes is the primary now: asked of the servers themselves, and
 * remembered for a moment, because an archive_command starts for every segment.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import { formatLsn, type Lsn, parseLsn } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { readLines } from '../../repository/line-records.ts'
import type { PrimarySeen } from '../../service/push-policy.ts'
import { type ChosenServer, chooseServer } from '../../wal/choose-server.ts'
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import { describeServer } from '../../wire/server-address.ts'
import { lastRecord } from '../../wal/production-line.ts'
import { spoolOf } from '../../wal/spool-place.ts'
import { roleConnections } from './wal-place.ts'
import { readRegular } from '../../util/read-regular.ts'

const NOTE_NAME = 'primary.json'
const FRESH_MS = 10_000
const NOTE_BYTES_MAX = 4096

interface PrimaryNote extends PrimarySeen {
  readonly seenAtMs: number
}

/** Who asks, and what is known of the cluster. */
export interface Pusher {
  readonly repository: ClusterRepository
  readonly wanted: ClusterWanted
  /** The name its key was given for. */
  readonly server: string
  /** What is remembered of a primary whose WAL ended before this is too old. */
  readonly reachLsn?: Lsn | undefined
  readonly signal: AbortSignal
}

/**
 * The primary, which is the pusher. Undefined when no server could be asked, and the pusher was the
 * primary when one could.
 * @throws {BackstayError} HOST_PRIVILEGE when another server is the primary
 */
export async function pushingPrimary(pusher: Pusher): Promise<PrimarySeen | undefined> {
  const { repository, server, reachLsn } = pusher
  const note = await readNote(repository)
  const ageMs = repository.clock.now() - (note?.seenAtMs ?? 0)
  const isFresh = note !== undefined && ageMs >= 0 && ageMs < FRESH_MS
  if (isFresh && note.server === server && note.flushLsn >= (reachLsn ?? 0n)) return note
  const seen = await askForPrimary(pusher, note)
  if (seen !== undefined) await writeNote(repository, { ...seen, seenAtMs: repository.clock.now() })
  const primary = seen?.server ?? note?.server ?? server
  if (primary === server) return seen
  throw new BackstayError(
    'HOST_PRIVILEGE',
    `Server "${server}" may not push WAL: the primary is "${primary}"`,
    {
      hint: 'Only the primary archives. After a failover this ends by itself when the new primary answers the backup server.',
      details: { server, primary },
    },
  )
}

/**
 * By the receiver's rules. Of several that claim it only the one on the line production was seen on
 * is believed.
 */
async function askForPrimary(
  pusher: Pusher,
  note: PrimaryNote | undefined,
): Promise<PrimarySeen | undefined> {
  const { wanted, signal, repository } = pusher
  if (wanted.backup === undefined) return undefined
  const connections = roleConnections(wanted, wanted.backup.streamRole)
  try {
    const lines = await readLines(repository)
    await using chosen = await chooseServer(connections, signal, lines)
    const { timeline, flushLsn } = await chosen.connection.identifySystem({ signal })
    if (chosen.tied.length > 0) return await askTied(pusher, chosen, { note, timeline })
    if (chosen.rivals.length > 0 && timeline !== lastRecord(lines)?.timeline) return undefined
    const server = nameOf(wanted, chosen.options)
    return server === undefined ? undefined : { server, timeline, flushLsn }
  } catch (error) {
    // What cannot be asked is unknown; what is remembered decides.
    if (isBackstayError(error) && error.code !== 'HOST_PRIVILEGE') return undefined
    throw error
  }
}

/**
 * Of several primaries on one timeline, which of them is listed first says nothing: the one that
 * was seen as the primary of that timeline before the others came.
 * @throws {BackstayError} HOST_PRIVILEGE when none was
 */
async function askTied(
  { wanted, signal }: Pusher,
  { options, tied }: ChosenServer,
  known: { readonly note: PrimaryNote | undefined; readonly timeline: number },
): Promise<PrimarySeen> {
  const { note, timeline } = known
  const all = [options, ...tied]
  const before = all.find((one) => nameOf(wanted, one) === note?.server)
  if (note === undefined || before === undefined || note.timeline !== timeline) {
    const servers = all
      .map((one) => `"${nameOf(wanted, one) ?? describeServer(one)}"`)
      .join(' and ')
    throw new BackstayError(
      'HOST_PRIVILEGE',
      `No server may push WAL: ${servers} are all primaries on timeline ${timeline}`,
      { hint: 'Stop the one that should not be: `backstay status` shows them.' },
    )
  }
  await using only = await chooseServer([before], signal)
  const { flushLsn } = await only.connection.identifySystem({ signal })
  return { server: note.server, timeline, flushLsn }
}

function nameOf({ servers }: ClusterWanted, { host, port }: ConnectionOptions): string | undefined {
  return servers.find((one) => one.address === host && one.port === port)?.name
}

async function readNote(repository: ClusterRepository): Promise<PrimaryNote | undefined> {
  try {
    const path = join(spoolOf(repository).directory, NOTE_NAME)
    const text = await readRegular(path, NOTE_BYTES_MAX)
    const { server, timeline, flushLsn, seenAtMs } = JSON.parse(text.toString()) as Record<
      string,
      unknown
    >
    const lsn = parseLsn(String(flushLsn))
    const isNote =
      typeof server === 'string' && typeof timeline === 'number' && typeof seenAtMs === 'number'
    return isNote && lsn !== undefined ? { server, timeline, flushLsn: lsn, seenAtMs } : undefined
  } catch {
    return undefined
  }
}

/** Not synced: an old note is asked about again. */
async function writeNote(repository: ClusterRepository, note: PrimaryNote): Promise<void> {
  const { directory } = spoolOf(repository)
  const path = join(directory, NOTE_NAME)
  const temporary = `${path}.${process.pid}`
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeFile(temporary, JSON.stringify({ ...note, flushLsn: formatLsn(note.flushLsn) }))
  await rename(temporary, path)
}
