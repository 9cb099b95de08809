/**
 * Checks one server. Unlike Barman's, it changes nothing on the server: no WAL is switched to see
 * whether it comes.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { isBackstayError } from '../../errors/backstay-error.ts'
import { readCatalogue } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { isStale, readReceiverStatus } from '../../wal/receiver-status.ts'
import { spoolOf } from '../../wal/spool-place.ts'
import type { BarmanContext } from '../context.ts'
import { askPrimary } from '../passive/primary-shell.ts'
import { lookAtServer, type ServerLook } from '../server/look-server.ts'
import { openServer, repositoryDirectory } from '../server/barman-place.ts'
import { pidOfTask } from '../server/receiver-process.ts'
import { heldSegments } from '../server/wal-of-backup.ts'
import { listIncoming } from '../wal/incoming.ts'
import {
  archivingLines,
  coherenceLine,
  configurationLines,
  connectionLines,
  programLines,
  receiverLines,
} from './server-lines.ts'
import {
  archiverErrorsLine,
  directoriesLine,
  queueLines,
  type StoredFacts,
  storedLines,
  walAfterLastBackup,
} from './store-lines.ts'
import { type CheckedServer, type CheckLine, failed, ok } from './strategy.ts'

const MOST_SECONDS = 3600

/** `timeoutSeconds` 0: as long as an hour, instead of for ever. */
export async function checkServer(
  context: BarmanContext,
  server: BarmanServer,
  timeoutSeconds: number,
): Promise<CheckedServer> {
  const seconds = timeoutSeconds === 0 ? MOST_SECONDS : timeoutSeconds
  const timeout = AbortSignal.timeout(seconds * 1000)
  const signal = AbortSignal.any([context.signal, timeout])
  const look = await lookAtServer(context, server, signal)
  const repository = await openServer(context, server)
  const facts = await storedFacts(context, repository)
  const isReceiving = await isReceiverWorking(context, server, repository)
  const lines = await linesOf(context, server, { look, facts, isReceiving, repository })
  return {
    name: server.name,
    active: server.active,
    disabled: server.problems.length > 0,
    lines: timeout.aborted
      ? [...lines, failed('check timeout', 'barman check command timed out')]
      : lines,
    backupBytes: facts.backups[0]?.info.bytes.database ?? 0,
    walBytes: walAfterLastBackup(facts),
  }
}

interface CheckFound {
  readonly look: ServerLook
  readonly facts: StoredFacts
  readonly isReceiving: boolean
  readonly repository: ClusterRepository | undefined
}

async function linesOf(
  context: BarmanContext,
  server: BarmanServer,
  found: CheckFound,
): Promise<CheckLine[]> {
  const { look, facts, isReceiving, repository } = found
  const isUsable = server.problems.length === 0
  const stores = server.repository ?? repositoryDirectory(context.config.barmanHome)
  return [
    ...walLines(server, found),
    ...queueLines(server, (await listIncoming(server)).length),
    ...(server.isPassive ? [] : connectionLines(server, look)),
    ...(isUsable ? [await directoriesLine(server, stores)] : []),
    ...storedLines(server, facts),
    ...(server.isPassive ? [await primaryLine(server, context.signal)] : programLines(look)),
    ...configurationLines(server),
    coherenceLine(look, repository?.identity.systemIdentifier),
    ...(server.streamingArchiver && !server.isPassive ? receiverLines(look, isReceiving) : []),
    ...(server.archiver ? archivingLines(look) : []),
    await archiverErrorsLine(server),
  ]
}

/** Whether the primary Barman can be reached. */
async function primaryLine(
  { primarySshCommand: command = '' }: BarmanServer,
  signal: AbortSignal,
): Promise<CheckLine> {
  try {
    await askPrimary({ command, signal }, 'true')
    return ok('ssh', 'Barman primary node')
  } catch (error) {
    if (!isBackstayError(error, 'HOST_COMMAND')) throw error
    return failed('ssh', 'Barman primary node')
  }
}

/** Nothing has come, and nothing is on its way. */
function walLines(server: BarmanServer, { look, facts, isReceiving }: CheckFound): CheckLine[] {
  const isArchiving =
    server.archiver &&
    look.sql?.archiver?.is_archiving === true &&
    look.sql.settings.get('archive_mode') !== 'off'
  if (facts.held.length > 0 || isReceiving || isArchiving) return []
  return [failed('WAL archive', 'please make sure WAL shipping is setup')]
}

async function storedFacts(
  { clock }: BarmanContext,
  repository: ClusterRepository | undefined,
): Promise<StoredFacts> {
  const nowMs = clock.now()
  if (repository === undefined) {
    return { backups: [], damaged: 0, held: [], lastWalAtMs: undefined, nowMs }
  }
  const { backups, damaged } = await readCatalogue(repository)
  return {
    backups,
    damaged: damaged.length,
    held: await heldSegments(repository),
    lastWalAtMs: await lastWalAt(repository),
    nowMs,
  }
}

/** When the receiver last heard of WAL; archived WAL has no time in the repository. */
async function lastWalAt(repository: ClusterRepository): Promise<number | undefined> {
  return (await readReceiverStatus(spoolOf(repository).directory))?.lastMessageAtMs
}

/** A receiver that runs and is not refused by the server. */
async function isReceiverWorking(
  context: BarmanContext,
  server: BarmanServer,
  repository: ClusterRepository | undefined,
): Promise<boolean> {
  if ((await pidOfTask(context, server, 'receive-wal')) === undefined) return false
  if (repository === undefined) return true
  const status = await readReceiverStatus(spoolOf(repository).directory)
  return status === undefined || (!isStale(status, context.clock) && status.state !== 'refused')
}
