/**
 * `backstay backup`: takes a backup.
 */
import type { FilesWanted } from '../../backup/take/take-options.ts'
import {
  BACKUP_READS,
  type BackupRead,
  type ClusterWanted,
  type ServerWanted,
} from '../../cluster/wanted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import { storeAt } from '../../store/address.ts'
import { formatSize } from '../../util/size.ts'
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import { describeServer } from '../../wire/server-address.ts'
import { type BackUpEvent, backUp, type BackupWish } from '../../work/back-up.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import type { TaskHandle } from '../output/tasks.ts'
import { requireMadePlace } from '../session/made-place.ts'
import { becomeRepositoryOwner } from '../session/repository-owner.ts'
import { backupOf, roleConnections } from '../session/wal-place.ts'
import { backupJson, describeBackup } from '../text/backup-json.ts'
import { readVersion } from '../version.ts'

const OPTIONS = {
  full: { type: 'flag', help: 'Take every page, even where changed pages would do' },
  label: { type: 'string', value: 'TEXT', help: 'A name for the backup' },
  from: {
    type: 'string',
    value: 'SERVER',
    help: 'Server to take it from, a standby too (default: the primary)',
  },
  rate: { type: 'size', value: 'SIZE', min: 32_768, help: 'At most so many bytes a second' },
  read: {
    type: 'choice',
    value: 'WAY',
    choices: BACKUP_READS,
    help: 'Read the files where they lie or the server’s stream (default: backup.read)',
  },
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

/** @throws {BackstayError} REPOSITORY_LOCKED, WAL_UNAVAILABLE, POSTGRES_UNREACHABLE, … */
async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
  const { wanted } = await context.config()
  const { repository } = backupOf(wanted)
  await becomeRepositoryOwner(repository)
  await requireMadePlace(repository)
  const wish = wishOf(context, wanted)
  const told: Told = { notes: [], isSplit: false }
  const place = { store: storeAt(repository), cluster: wanted.name, clock: context.clock }
  const info = await context.output.tasks.task(`Back up "${wanted.name}"`, async (task) =>
    backUp(place, wish, { signal: context.signal, on: (event) => tell(event, task, told) }),
  )
  const { notes, isSplit } = told
  return {
    data: { ...backupJson({ info, keep: undefined }, undefined), notes },
    exitCode: info.badPages.count === 0 && !isSplit ? 0 : 3,
    text: () => `${notes.map((note) => `${note}.\n`).join('')}${describe(info)}`,
  }
}

/** @throws {BackstayError} USAGE for a server that is not in the cluster file */
function wishOf({ options }: CommandContext<typeof OPTIONS>, wanted: ClusterWanted): BackupWish {
  const { full, label = null, rate, jobs, spread, from } = options
  const { rateLimitBytes, compressionLevel: level } = backupOf(wanted)
  const read = options.read ?? backupOf(wanted).read
  const maxRateBytes = rate ?? rateLimitBytes
  return {
    servers: serversOf(wanted, from),
    nameOf: (server) => serverAt(wanted, server)?.name ?? null,
    filesOf: (server) => filesOf(serverAt(wanted, server), read),
    label,
    full,
    checkpoint: spread ? 'spread' : 'fast',
    ...(maxRateBytes === undefined ? {} : { maxRateBytes }),
    level,
    jobs,
    createdBy: `backstay ${readVersion()}`,
  }
}

function serversOf(wanted: ClusterWanted, from: string | undefined): ConnectionOptions[] {
  const all = roleConnections(wanted, backupOf(wanted).backupRole)
  const at = wanted.servers.findIndex((server) => server.name === from)
  if (from !== undefined && at === -1) {
    const names = wanted.servers.map((server) => `"${server.name}"`).join(', ')
    throw new BackstayError('USAGE', `Cannot back up from "${from}": the servers are ${names}`)
  }
  return from === undefined ? all : all.slice(at, at + 1)
}

function serverAt(
  { servers }: ClusterWanted,
  { host, port }: ConnectionOptions,
): ServerWanted | undefined {
  return servers.find((each) => each.address === host && each.port === port)
}

/** @throws {BackstayError} CONFIG_INVALID for files that are to be read on another machine */
function filesOf(server: ServerWanted | undefined, read: BackupRead): FilesWanted | undefined {
  if (read === 'stream' || server === undefined) return undefined
  const { name, host, directory } = server
  if (host.local) return { directory, otherwise: read === 'files' ? 'fail' : 'stream' }
  if (read === 'auto') return undefined
  throw new BackstayError(
    'CONFIG_INVALID',
    `Cannot read the files of "${name}" where they lie: they are on another machine (${host.address})`,
    { hint: 'Say `read: auto` or `read: stream` in the backup part, or --read stream.' },
  )
}

interface Told {
  readonly notes: string[]
  isSplit: boolean
}

function tell(event: BackUpEvent, task: TaskHandle, told: Told): void {
  switch (event.kind) {
    case 'step':
      return task.update(event.text)
    case 'progress':
      return task.progress(event.receivedBytes, event.totalBytes)
    case 'warning':
      told.notes.push(event.text)
      return undefined
    case 'split-brain':
      told.isSplit = true
      told.notes.push(splitBrain(event.chosen, event.rivals))
      return undefined
    case 'planned':
    case 'cleaned':
      break
  }
  return undefined
}

/**
 * Which of them holds what is wanted is for the operator to say; a backup of the one that was
 * chosen is still worth having.
 */
function splitBrain(chosen: ConnectionOptions, rivals: readonly string[]): string {
  return `SPLIT BRAIN: ${describeServer(chosen)}, which is backed up, and ${rivals.join(', ')} are primaries of one cluster; see backstay status, and end all but one`
}

function describe(info: BackupInfo): string {
  const { bytes, badPages } = info
  const damage = badPages.count === 0 ? '' : `It holds ${badPages.count} damaged pages.\n`
  return `Backup ${describeBackup(info)}: ${formatSize(bytes.database)}, ${formatSize(bytes.changed)} changed, ${formatSize(bytes.stored)} stored.\n${damage}`
}
