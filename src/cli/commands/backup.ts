/**
 * `backstay backup`: takes a backup.
 */
import type { BackupEvent } from '../../backup/events.ts'
import { receivedOrFetched } from '../../backup/received-or-fetched.ts'
import { takeBackup } from '../../backup/take/take-backup.ts'
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import { clearFailedJob } from '../../repository/failed-jobs.ts'
import { clusterNames } from '../../repository/format.ts'
import { type LineRecords, readLines } from '../../repository/line-records.ts'
import { storeAt } from '../../store/address.ts'
import { formatSize } from '../../util/size.ts'
import { type ChosenServer, chooseServer } from '../../wal/choose-server.ts'
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import { describeServer } from '../../wire/server-address.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import type { TaskHandle } from '../output/tasks.ts'
import { requireMadePlace } from '../session/made-place.ts'
import { becomeRepositoryOwner } from '../session/repository-owner.ts'
import { backupOf, roleConnections } from '../session/wal-place.ts'
import { backupJson, describeBackup } from '../text/backup-json.ts'
import { readVersion } from '../version.ts'
import { availableParallelism } from 'node:os'

export const OPTIONS = {
  full: { type: 'flag', help: 'Take every page, even where changed pages would do' },
  label: { type: 'string', value: 'TEXT', help: 'A name for the backup' },
  from: {
    type: 'string',
    value: 'SERVER',
    help: 'Server to take it from, a standby too (default: the primary)',
  },
  rate: { type: 'size', value: 'SIZE', min: 32_768, help: 'At most so many bytes a second' },
  jobs: { type: 'int', value: 'N', min: 1, max: 64, help: 'Compression threads' },
  spread: { type: 'flag', help: 'Wait for a spread checkpoint instead of asking for a fast one' },
} as const satisfies OptionSpecs

export default defineCommand({
  description:
    'Ends when everything the backup needs, its WAL included, is durable in the repository. Every backup restores as a full. Exit code 3 when it holds pages that are damaged on the server. A full that was interrupted is gone on with by the next one: what it had stored is compared with what the server sends, and not stored again.',
  needs: { config: true },
  options: OPTIONS,
  exits: [
    'CHECK_FAILED',
    'REPOSITORY_LOCKED',
    'WAL_UNAVAILABLE',
    'POSTGRES_UNREACHABLE',
    'PARTIAL',
    'DISK_SPACE',
  ],
  examples: [
    'backstay backup',
    'backstay backup --full --label weekly',
    'backstay backup --from db2',
  ],
  runsOn: 'backup server',
  run,
})

type Context = CommandContext<typeof OPTIONS>

const MOST_JOBS = 8

/** @throws {BackstayError} REPOSITORY_LOCKED, WAL_UNAVAILABLE, POSTGRES_UNREACHABLE, … */
async function run(context: Context): Promise<CommandResult> {
  const { wanted } = await context.config()
  await becomeRepositoryOwner(backupOf(wanted).repository)
  await requireMadePlace(backupOf(wanted).repository)
  const connections = serversOf(context, wanted)
  const notes: string[] = []
  const rivals: string[] = []
  const info = await context.output.tasks.task(`Back up "${wanted.name}"`, async (task) =>
    take(context, { wanted, connections, task, notes, rivals }),
  )
  await clearFailedJob(
    { store: storeAt(backupOf(wanted).repository), names: clusterNames(wanted.name) },
    'backup',
  )
  return {
    data: { ...backupJson({ info, keep: undefined }, undefined), notes },
    exitCode: info.badPages.count === 0 && rivals.length === 0 ? 0 : 3,
    text: () => `${notes.map((note) => `${note}.\n`).join('')}${describe(info)}`,
  }
}

interface Course {
  readonly wanted: ClusterWanted
  readonly connections: readonly ConnectionOptions[]
  readonly task: TaskHandle
  readonly notes: string[]
  /** Other primaries of this cluster. */
  readonly rivals: string[]
}

async function take(context: Context, course: Course): Promise<BackupInfo> {
  const { wanted, connections } = course
  const backup = backupOf(wanted)
  const { full, label = null, rate, jobs, spread } = context.options
  const place = { store: storeAt(backup.repository), names: clusterNames(wanted.name) }
  const lines = await readLines({ ...place, clock: context.clock })
  const { options: connection, rivals } = await chosenOf(connections, lines, context.signal)
  tellRivals(course, connection, rivals)
  const maxRateBytes = rate ?? backup.rateLimitBytes
  return await takeBackup({
    cluster: wanted.name,
    store: storeAt(backup.repository),
    clock: context.clock,
    connection,
    server: nameOf(wanted, connection),
    wal: receivedOrFetched(connection),
    label,
    full,
    checkpoint: spread ? 'spread' : 'fast',
    ...(maxRateBytes === undefined ? {} : { maxRateBytes }),
    level: backup.compressionLevel,
    workers: jobs ?? Math.min(MOST_JOBS, availableParallelism()),
    createdBy: `backstay ${readVersion()}`,
    signal: context.signal,
    onEvent: (event) => tell(event, course),
  })
}

function serversOf(context: Context, wanted: ClusterWanted): ConnectionOptions[] {
  const { from } = context.options
  const all = roleConnections(wanted, backupOf(wanted).backupRole)
  const at = wanted.servers.findIndex((server) => server.name === from)
  if (from !== undefined && at === -1) {
    const names = wanted.servers.map((server) => `"${server.name}"`).join(', ')
    throw new BackstayError('USAGE', `Cannot back up from "${from}": the servers are ${names}`)
  }
  return from === undefined ? all : all.slice(at, at + 1)
}

/** Which of them holds what is wanted is for the operator to say; a backup of the one that was chosen is still worth having. */
function tellRivals(
  { notes, rivals }: Course,
  connection: ConnectionOptions,
  found: readonly string[],
): void {
  if (found.length === 0) return
  rivals.push(...found)
  notes.push(
    `SPLIT BRAIN: ${describeServer(connection)}, which is backed up, and ${found.join(', ')} are primaries of one cluster; see backstay status, and end all but one`,
  )
}

/** The primary, or the one server that was named. */
async function chosenOf(
  connections: readonly ConnectionOptions[],
  lines: LineRecords,
  signal: AbortSignal,
): Promise<Pick<ChosenServer, 'options' | 'rivals'>> {
  await using chosen = await chooseServer(connections, signal, lines)
  const { options, rivals } = chosen
  return { options, rivals }
}

function nameOf(wanted: ClusterWanted, connection: ConnectionOptions): string | null {
  const { host, port } = connection
  return wanted.servers.find((each) => each.address === host && each.port === port)?.name ?? null
}

function tell(event: BackupEvent, { task, notes }: Course): void {
  switch (event.kind) {
    case 'step':
      return task.update(event.text)
    case 'progress':
      return task.progress(event.receivedBytes, event.totalBytes)
    case 'warning':
      notes.push(event.text)
      return undefined
    case 'planned':
    case 'cleaned':
      break
  }
  return undefined
}

function describe(info: BackupInfo): string {
  const { bytes, badPages } = info
  const damage = badPages.count === 0 ? '' : `It holds ${badPages.count} damaged pages.\n`
  return `Backup ${describeBackup(info)}: ${formatSize(bytes.database)}, ${formatSize(bytes.changed)} changed, ${formatSize(bytes.stored)} stored.\n${damage}`
}
