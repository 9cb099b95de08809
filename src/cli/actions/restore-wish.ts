/**
 * From the words of `backstay restore` to a wish and the directories it goes to.
 */
import type { ServerWanted } from '../../cluster/wanted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { findBackup } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { tablespaceMappingOf } from '../../restore/layout.ts'
import { formatTimeUs, hasZone, parseTimeUs } from '../../restore/target-time.ts'
import {
  type BackupChoice,
  type RestoreWish,
  targetOf,
  timelineChoiceOf,
} from '../../restore/wish.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/restore.ts'
import type { CommandContext } from '../context.ts'
import { absolute } from './wal-place.ts'

/** The context of the command. */
export type RestoreContext = CommandContext<typeof OPTIONS, typeof ARGUMENTS>

/** Where the restore goes. */
export interface Destination {
  readonly directory: string
  readonly tablespaces: ReadonlyMap<string, string>
}

/** What is wished. @throws {BackstayError} USAGE, BACKUP_MISSING */
export async function wishOf(
  context: RestoreContext,
  repository: ClusterRepository,
): Promise<RestoreWish> {
  const { options } = context
  return {
    target: targetOf(options),
    timeline: timelineChoiceOf(options.targetTli),
    action: options.targetAction,
    standbyMode: options.standbyMode,
    backup: await backupOf(repository, context.arguments.backup),
  }
}

/** Said about the wish before anything else. */
export function remarksOn({ options }: RestoreContext): string[] {
  const { targetTime } = options
  const timeUs = targetTime === undefined ? undefined : parseTimeUs(targetTime)
  if (targetTime === undefined || timeUs === undefined || hasZone(targetTime)) return []
  return [`"${targetTime}" names no time zone: taken as local time, ${formatTimeUs(timeUs)}`]
}

/** Undefined when no directory was named. @throws {BackstayError} USAGE, CONFIG_INVALID */
export async function destinationOf(context: RestoreContext): Promise<Destination | undefined> {
  const { server: name, tablespace } = context.options
  const { directory } = context.arguments
  const given = new Map(
    [...tablespaceMappingOf(tablespace)].map(([from, to]) => [from, absolute(context, to)]),
  )
  if (name !== undefined && directory !== undefined) {
    throw new BackstayError('USAGE', 'Cannot restore into DIRECTORY and --server at once')
  }
  if (directory !== undefined) {
    return { directory: absolute(context, directory), tablespaces: given }
  }
  if (name === undefined) return undefined
  const server = await serverOf(context, name)
  const tablespaces = new Map([...Object.entries(server.tablespaceMapping), ...given])
  return { directory: server.directory, tablespaces }
}

async function backupOf(repository: ClusterRepository, word: string): Promise<BackupChoice> {
  if (word === 'auto' || word === 'latest') return word
  return (await findBackup(repository, word)).info.id
}

async function serverOf(context: RestoreContext, name: string): Promise<ServerWanted> {
  const { servers } = (await context.config()).wanted
  const server = servers.find((each) => each.name === name)
  if (server === undefined) {
    const known = servers.map((each) => `"${each.name}"`).join(', ')
    throw new BackstayError('USAGE', `Cannot restore into "${name}": the servers are ${known}`)
  }
  if (server.host.local) return server
  throw new BackstayError(
    'HOST_UNREACHABLE',
    `Cannot restore into "${name}": it is on host "${server.host.address}"`,
    { hint: 'Run the restore on that host, with the repository mounted there.' },
  )
}
