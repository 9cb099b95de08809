/**
 * Has the server finish its WAL segment and, with --archive, waits until it is stored here.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { until } from '../../util/until.ts'
import { finishSegment, type SwitchedSegment, isInRecovery } from '../../wal/switch-wal.ts'
import { SqlClient } from '../../wire/sql-client.ts'
import type { BarmanContext } from '../context.ts'
import { openOrClaim } from '../server/claim.ts'
import { sqlConnection } from '../server/connections.ts'
import { severalServers } from '../server/chosen-servers.ts'
import { takeIncoming } from '../wal/incoming.ts'

const DEFAULT_TIMEOUT_SECONDS = 30

/** @throws {BackstayError} POSTGRES_UNREACHABLE, STORE, … */
export async function run(context: BarmanContext): Promise<void> {
  for (const server of severalServers(context, { skipPassive: true })) {
    const switched = await switchWal(context, server)
    if (switched === undefined || context.options.archive !== true) continue
    await waitFor(context, server, switched.segment)
  }
}

async function switchWal(
  context: BarmanContext,
  server: BarmanServer,
): Promise<SwitchedSegment | undefined> {
  const { output, options, environment, signal } = context
  await using sql = await SqlClient.connect({ ...sqlConnection(server, environment), signal })
  if (await isInRecovery(sql)) {
    output.info(`No switch performed because server '${server.name}' is a standby.`)
    return undefined
  }
  if (options.force === true && !(await checkpoint(context, sql))) return undefined
  const finished = await finishSegment(sql)
  const { segment, wasNeeded } = finished
  if (wasNeeded) output.info(`The WAL file ${segment} has been closed on server '${server.name}'`)
  else output.info(`No switch required for server '${server.name}'`)
  return finished
}

async function checkpoint({ output }: BarmanContext, sql: SqlClient): Promise<boolean> {
  try {
    await sql.query('CHECKPOINT')
    return true
  } catch (error) {
    const isRefused = error instanceof BackstayError && error.details['sqlstate'] === '42501'
    if (!isRefused) throw error
    output.error("Barman switch-wal --force requires superuser rights or the 'pg_checkpoint' role")
    return false
  }
}

async function waitFor(
  context: BarmanContext,
  server: BarmanServer,
  segment: string,
): Promise<void> {
  const { output, options, clock, signal } = context
  const seconds = options.archiveTimeout ?? DEFAULT_TIMEOUT_SECONDS
  output.info(
    `Waiting for the WAL file ${segment} from server '${server.name}' (max: ${seconds} seconds)`,
  )
  const repository = await openOrClaim(context, server)
  const isStored = async (): Promise<boolean> => {
    if (server.archiver) await takeIncoming(context, server)
    return await repository.wal.hasSegment(segment)
  }
  if ((await until(isStored, { clock, timeoutMs: seconds * 1000, signal })) === undefined) {
    return output.error(`The WAL file ${segment} has not been received in ${seconds} seconds`)
  }
  const from = server.streamingArchiver ? 'streaming' : 'file archival'
  output.info(`Processing xlog segments from ${from} for ${server.name}`)
  output.info(`\t${segment}`)
}
