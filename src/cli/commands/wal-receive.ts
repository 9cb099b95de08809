/**
 * `backstay wal receive`: the WAL receiver in the foreground.
 */
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { isBackstayError } from '../../errors/backstay-error.ts'
import {
  claimCluster,
  type ClusterRepository,
  openCluster,
} from '../../repository/cluster-repository.ts'
import { errorFacts, openServiceLog } from '../../service/log.ts'
import { storeAt } from '../../store/address.ts'
import { parseSize } from '../../util/size.ts'
import { chooseServer } from '../../wal/choose-server.ts'
import { receiveWal } from '../../wal/receiver.ts'
import type { CommandContext } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { requireMadePlace } from '../session/made-place.ts'
import { becomeRepositoryOwner } from '../session/repository-owner.ts'
import { backupOf, roleConnections } from '../session/wal-place.ts'

/** How much is logged, as `serve` takes it too, and whether it ends with whoever started it. */
export const OPTIONS = {
  logLevel: {
    type: 'choice',
    value: 'LEVEL',
    choices: ['error', 'warn', 'info', 'debug'],
    default: 'info',
    help: 'How much is logged to standard error',
  },
  supervised: { type: 'flag', hidden: true, help: 'End when standard input ends' },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Streams from the primary through the cluster's slot, acknowledges only what is synced to disk, and follows the primary after a
switchover. Runs until it is interrupted. \`backstay serve\` runs it for you.`,
  needs: { config: true },
  options: OPTIONS,
  exits: ['REPOSITORY_LOCKED', 'POSTGRES_IDENTITY'],
  run,
})

type WalReceiveContext = CommandContext<typeof OPTIONS>

/**
 * @throws {BackstayError} REPOSITORY_LOCKED when the cluster has a receiver already; what
 * `openOrClaim` throws.
 */
async function run(context: WalReceiveContext): Promise<void> {
  const { wanted } = await context.config()
  const backup = backupOf(wanted)
  await becomeRepositoryOwner(backup.repository)
  await requireMadePlace(backup.repository)
  const log = openServiceLog(context.options.logLevel)
  await receiveWal(
    {
      repository: await openOrClaim(context, wanted),
      servers: roleConnections(wanted, backup.streamRole),
      slot: backup.slot,
      createSlot: true,
      clock: context.clock,
      onEvent: ({ kind, text, error }) => {
        const facts = { cluster: wanted.name, event: kind }
        if (error === undefined) log.info(facts, text)
        else log.warn({ ...facts, ...errorFacts(error) }, 'receiving failed')
      },
    },
    context.options.supervised ? untilInputEnds(context) : context.signal,
  )
}

/** A service that was killed cannot stop its receiver: the end of the pipe between them does. */
function untilInputEnds({ stdin, signal }: WalReceiveContext): AbortSignal {
  const orphaned = new AbortController()
  stdin.once('end', () => orphaned.abort()).resume()
  return AbortSignal.any([signal, orphaned.signal])
}

/**
 * A cluster that is in the repository is opened without asking a server: there may be none, and the
 * spool waits to be stored.
 */
async function openOrClaim(
  context: WalReceiveContext,
  wanted: ClusterWanted,
): Promise<ClusterRepository> {
  const backup = backupOf(wanted)
  const store = storeAt(backup.repository)
  const { clock, signal } = context
  try {
    return await openCluster(store, wanted.name, clock)
  } catch (error) {
    if (!isBackstayError(error, 'REPOSITORY_MISSING')) throw error
  }
  await using server = await chooseServer(roleConnections(wanted, backup.streamRole), signal)
  const { connection } = server
  const { systemIdentifier } = await connection.identifySystem({ signal })
  const segmentBytes = parseSize(await connection.show('wal_segment_size', { signal })) ?? 0
  const identity = { systemIdentifier, major: connection.major, segmentBytes }
  return await claimCluster({ store, name: wanted.name, server: identity, clock })
}
