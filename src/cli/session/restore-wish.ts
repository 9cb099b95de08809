/**
 * From the words of `backstay restore` to a wish and the directories it goes to.
 */
import { serviceConfigOf } from '../../cluster/machine/service-source.ts'
import { isSameMachine } from '../../cluster/machine/way-files.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { tablespaceMappingOf } from '../../restore/layout.ts'
import { spellTimeUs } from '../../util/local-time.ts'
import { formatTimeUs, hasZone, parseTimeUs } from '../../restore/target-time.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/restore-options.ts'
import type { CommandContext } from '../context.ts'
import type { WishWords } from '../../fleet/restore-order.ts'
import { absolute } from './wal-place.ts'

/** The context of the command. */
export type RestoreContext = CommandContext<typeof OPTIONS, typeof ARGUMENTS>

/** Where the restore goes. */
export interface Destination {
  readonly directory: string
  readonly tablespaces: ReadonlyMap<string, string>
  /** Where tablespaces may be written that are not among these. */
  readonly tablespaceRoots: readonly string[]
  /** Undefined: WAL goes into the data directory. */
  readonly walDirectory: string | undefined
}

/** What is wished, in words that mean the same on every machine. @throws {BackstayError} USAGE */
export function wishWords({ options, arguments: { backup } }: RestoreContext): WishWords {
  const { targetTime, targetLsn, targetXid, targetName, targetTli, targetAction } = options
  const timeUs = targetTime === undefined ? undefined : parseTimeUs(targetTime)
  const { targetImmediate, exclusive, standbyMode } = options
  return {
    backup,
    ...(targetTime === undefined
      ? {}
      : { targetTime: timeUs === undefined ? targetTime : formatTimeUs(timeUs) }),
    ...(targetLsn === undefined ? {} : { targetLsn }),
    ...(targetXid === undefined ? {} : { targetXid }),
    ...(targetName === undefined ? {} : { targetName }),
    targetImmediate,
    exclusive,
    targetTli,
    targetAction,
    standbyMode,
  }
}

/** Said about the wish before anything else. */
export function remarksOn({ options }: RestoreContext): string[] {
  const { targetTime } = options
  const timeUs = targetTime === undefined ? undefined : parseTimeUs(targetTime)
  if (targetTime === undefined || timeUs === undefined || hasZone(targetTime)) return []
  return [`"${targetTime}" names no time zone: taken as local time, ${spellTimeUs(timeUs)}`]
}

/** The server named with --server. @throws {BackstayError} USAGE when there is none of that name */
async function serverNamed(context: RestoreContext): Promise<ServerWanted | undefined> {
  const { server: name } = context.options
  return name === undefined ? undefined : await serverOf(context, name)
}

/**
 * Undefined when no directory was named. A directory named beside a server is one on its machine;
 * the server's own tablespaces are not meant then.
 * @throws {BackstayError} USAGE
 */
export async function destinationOf(context: RestoreContext): Promise<Destination | undefined> {
  const { directory } = context.arguments
  const given = new Map(
    [...tablespaceMappingOf(context.options.tablespace)].map(([from, to]) => [
      from,
      absolute(context, to),
    ]),
  )
  const wal = context.options.walDirectory
  const common = {
    tablespaceRoots: await rootsOf(context),
    walDirectory: wal === undefined ? undefined : absolute(context, wal),
  }
  if (directory !== undefined) {
    return { directory: absolute(context, directory), tablespaces: given, ...common }
  }
  const server = await serverNamed(context)
  if (server === undefined) return undefined
  const tablespaces = new Map([...Object.entries(server.tablespaceMapping), ...given])
  return { directory: server.directory, tablespaces, ...common }
}

/** What the command line and the cluster file allow. */
async function rootsOf(context: RestoreContext): Promise<readonly string[]> {
  const given = context.options.tablespaceRoot.map((root) => absolute(context, root))
  if (context.options.repository !== undefined) return given
  const { postgres, servers } = (await context.config()).wanted
  const named = servers.flatMap(({ tablespaceMapping }) => Object.values(tablespaceMapping))
  return [...given, ...(postgres.tablespaceRoots ?? []), ...named]
}

async function serverOf(context: RestoreContext, name: string): Promise<ServerWanted> {
  const { servers } = (await context.config()).wanted
  const server = servers.find((each) => each.name === name)
  if (server === undefined) {
    const known = servers.map((each) => `"${each.name}"`).join(', ')
    throw new BackstayError('USAGE', `Cannot restore into "${name}": the servers are ${known}`)
  }
  return server
}

/**
 * The server to restore onto when it is on another machine, and the repository on a third.
 * @throws HOST_UNREACHABLE
 */
export async function serverElsewhere(context: RestoreContext): Promise<ServerWanted | undefined> {
  const server = await serverNamed(context)
  if (server === undefined || context.options.repository !== undefined) return undefined
  const { wanted } = await context.config()
  const { backup } = wanted
  if (backup === undefined || (server.host.local && backup.host.local)) return undefined
  if (!server.host.local && !isSameMachine(server.host, backup.host)) return server
  const [where, hint] = server.host.local
    ? [
        'this machine',
        `the repository is on "${backup.host.address}": reach both machines over ssh from a third.`,
      ]
    : [
        `"${server.host.address}"`,
        `Log in there and run: backstay --config ${serviceConfigOf(wanted.name)} restore …`,
      ]
  throw new BackstayError(
    'HOST_UNREACHABLE',
    `Cannot restore onto "${server.name}" from here: it is on ${where}`,
    { hint },
  )
}
