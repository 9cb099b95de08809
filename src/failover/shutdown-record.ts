/**
 * Where the WAL of a stopped primary ends: after the record of its shutdown checkpoint. pg_control
 * names only the start of that record; a standby that has received up to there need not have the
 * record itself, and after its promotion the old primary could not follow.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { runChecked } from '../host/run-checked.ts'
import { CONTROL_FILE_PATH, type ControlFile, parseControlFile } from '../postgres/control-file.ts'
import { formatLsn, type Lsn, toLsn } from '../postgres/lsn.ts'
import { formatSegmentName, segmentOf, segmentStart } from '../postgres/segment-name.ts'
import type { PostgresMajor } from '../postgres/version.ts'
import { walEventOf } from '../postgres/wal-event.ts'
import { findRecord } from '../postgres/wal-search.ts'
import type { ClusterContext, Machine } from '../cluster/context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'

/** A checkpoint record has some hundred bytes: it lies on one page, or on two. */
export const PAGES_READ = 2

/** How a primary stopped. */
export interface ShutdownEnd {
  readonly timeline: number
  /** After the last byte of its WAL. */
  readonly endLsn: Lsn
}

/**
 * Reads pg_control of a server that does not run.
 * @throws POSTGRES_FILE_INVALID, and when there is none FAILED.
 */
export async function readControl(
  context: ClusterContext,
  server: ServerWanted,
): Promise<ControlFile> {
  const { host } = await context.machineOf(server)
  const path = posix.join(server.directory, CONTROL_FILE_PATH)
  const bytes = await host.readFile(path)
  if (bytes !== undefined) return parseControlFile(bytes)
  throw new BackstayError('FAILED', `Cannot read "${path}" of server "${server.name}": it is gone`)
}

/**
 * Proves that the server was shut down in order, and says where its WAL ends.
 * @throws NOT_READY when pg_control says anything else, or the record is not where pg_control says
 * it is.
 */
export async function readShutdownEnd(
  context: ClusterContext,
  server: ServerWanted,
): Promise<ShutdownEnd> {
  const control = await readControl(context, server)
  requireShutDown(server, control)
  const { lsn } = control.checkpoint
  const machine = await context.machineOf(server)
  const startLsn = toLsn(lsn - (lsn % BigInt(control.walBlockBytes)))
  const bytes = await readPages(machine, { server, control, startLsn })
  const major = context.wanted.postgres.version
  return judgeShutdown(server, { control, bytes, startLsn, major })
}

/**
 * What the proof needs: pg_control, and the WAL from the page at `startLsn`, in which its last
 * checkpoint begins.
 */
export interface ShutdownBytes {
  readonly control: ControlFile
  readonly bytes: Buffer
  readonly startLsn: Lsn
  readonly major: PostgresMajor
}

/** The same for what has been read. Pure. @throws NOT_READY */
export function judgeShutdown(server: ServerWanted, read: ShutdownBytes): ShutdownEnd {
  const { control, bytes, startLsn } = read
  requireShutDown(server, control)
  const { lsn, timeline } = control.checkpoint
  const { segmentBytes, walBlockBytes } = control
  const record = findRecord(bytes, { startLsn, recordLsn: lsn, segmentBytes, walBlockBytes })
  if (record === undefined) {
    throw notClean(server, `there is no valid record at ${formatLsn(lsn)}, its last checkpoint`)
  }
  const event = walEventOf(record, control.major ?? read.major)
  if (event?.kind !== 'shutdown-checkpoint') {
    throw notClean(server, `the record at ${formatLsn(lsn)} is no shutdown checkpoint`)
  }
  return { timeline, endLsn: record.endLsn }
}

function requireShutDown(server: ServerWanted, { state }: ControlFile): void {
  if (state === 'shut down') return
  throw notClean(server, `its control file says "${state}", not "shut down"`)
}

/** The page that `startLsn` begins, and the one after it, which seldom lies in the next segment. */
async function readPages(
  machine: Machine,
  place: {
    readonly server: ServerWanted
    readonly control: ControlFile
    readonly startLsn: Lsn
  },
): Promise<Buffer> {
  const { server, control, startLsn } = place
  const { segmentBytes, walBlockBytes: bytes, checkpoint } = control
  const segment = segmentOf(startLsn, { timeline: checkpoint.timeline, segmentBytes })
  const pathOf = (number: bigint): string =>
    posix.join(server.directory, 'pg_wal', formatSegmentName({ ...segment, number }, segmentBytes))
  const skip = Number(startLsn - segmentStart(segment, segmentBytes)) / bytes
  const first = { path: pathOf(segment.number), skip, count: PAGES_READ, bytes }
  const pages = await readFrom(machine, first)
  const isAtEnd = (skip + 1) * bytes === segmentBytes
  const path = pathOf(segment.number + 1n)
  if (!isAtEnd || (await machine.host.inspect(path)) === undefined) return pages
  return Buffer.concat([pages, await readFrom(machine, { path, skip: 0, count: 1, bytes })])
}

/** Pages of a file as text on the way: what a command prints is text. */
async function readFrom(
  { host, osUser }: Machine,
  pages: {
    readonly path: string
    readonly skip: number
    readonly count: number
    readonly bytes: number
  },
): Promise<Buffer> {
  const script = 'dd if="$1" bs="$2" skip="$3" count="$4" 2>/dev/null | base64'
  const numbers = [pages.bytes, pages.skip, pages.count].map(String)
  const words = ['sh', '-c', script, 'sh', pages.path, ...numbers]
  const { stdout } = await runChecked(host, words, { user: osUser })
  return Buffer.from(stdout, 'base64')
}

function notClean(server: ServerWanted, found: string): BackstayError {
  return new BackstayError(
    'NOT_READY',
    `Server "${server.name}" did not shut down as a primary must before another takes over: ${found}`,
    { hint: `See its log in ${server.directory}/log.` },
  )
}
