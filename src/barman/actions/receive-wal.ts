/**
 * Receives WAL in the foreground, and looks after the slot and the process that does it.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { isBackstayError } from '../../errors/backstay-error.ts'
import { receiveWal } from '../../wal/receiver.ts'
import { ReplicationConnection } from '../../wire/replication-connection.ts'
import type { BarmanContext } from '../context.ts'
import { openOrClaim } from '../server/claim.ts'
import { receiverConnection, sqlConnection } from '../server/connections.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { pidOfTask, stopTask } from '../server/receiver-process.ts'

const DUPLICATE_OBJECT = '42710'
const TASK = 'receive-wal'

/** @throws {BackstayError} POSTGRES_UNREACHABLE, POSTGRES_AUTH, POSTGRES_IDENTITY, … */
export async function run(context: BarmanContext): Promise<void> {
  const { options } = context
  const server = oneServer(context, { skipPassive: true })
  if (server === undefined) return
  if (options.stop === true) return await stop(context, server)
  if (options.reset === true) return await reset(context, server)
  if (options.createSlot === true) return await createSlot(context, server)
  if (options.dropSlot === true) return await dropSlot(context, server)
  await receive(context, server)
}

async function receive(context: BarmanContext, server: BarmanServer): Promise<void> {
  const { output, clock, environment, signal } = context
  if (!server.streamingArchiver) {
    return output.error(
      "Unable to start receive-wal process: streaming_archiver option set to 'off' in barman configuration file",
    )
  }
  output.info(`Starting receive-wal for server ${server.name}`)
  const connection = receiverConnection(server, environment)
  const repository = await openOrClaim(context, server)
  if (await lacksSlot(context, server)) return
  try {
    await receiveWal(
      {
        repository,
        servers: [connection],
        sql: sqlConnection(server, environment),
        slot: server.slotName,
        createSlot: server.createSlot === 'auto',
        clock,
        onEvent: ({ text, error }) => {
          if (error === undefined) output.info(`${server.name}: ${text}`)
          else output.warning(`${server.name}: ${text}`)
        },
      },
      signal,
    )
  } catch (error) {
    if (!isBackstayError(error, 'REPOSITORY_LOCKED')) throw error
    output.error(`Another receive-wal process is already running for server ${server.name}.`)
  }
}

/**
 * A slot that is missing at the start is said at once. A server that is not there at the start ends
 * the command, as pg_receivewal ends: cron starts it again. Later on the receiver waits for its
 * server by itself.
 */
async function lacksSlot(context: BarmanContext, server: BarmanServer): Promise<boolean> {
  const { slotName, createSlot } = server
  if ((await pidOfTask(context, server, TASK)) !== undefined) return false
  await using connection = await connect(context, server)
  if (slotName === undefined || createSlot === 'auto' || connection.major < 15) return false
  if ((await connection.readReplicationSlot(slotName)) !== undefined) return false
  context.output.error(
    `replication slot '${slotName}' doesn't exist. Please execute 'barman receive-wal --create-slot ${server.name}'`,
  )
  return true
}

async function createSlot(context: BarmanContext, server: BarmanServer): Promise<void> {
  const { output, options } = context
  const { name, slotName } = server
  if (slotName === undefined) return noSlot(context, server)
  output.info(`Creating physical replication slot '${slotName}' on server '${name}'`)
  try {
    await using connection = await connect(context, server)
    await connection.createPhysicalSlot(slotName)
    output.info(`Replication slot '${slotName}' created`)
  } catch (error) {
    if (isBackstayError(error) && error.details['sqlstate'] === DUPLICATE_OBJECT) {
      const text = `Replication slot '${slotName}' already exists`
      return options.ifNotExists === true ? output.info(text) : output.error(text)
    }
    if (!isBackstayError(error, 'POSTGRES_LIMIT')) throw error
    return output.error(`All replication slots for server '${name}' are in use\n${error.message}`)
  }
  // From now on WAL can be stored even when the server is away.
  await openOrClaim(context, server)
}

async function dropSlot(context: BarmanContext, server: BarmanServer): Promise<void> {
  const { output } = context
  const { name, slotName } = server
  if (slotName === undefined) return noSlot(context, server)
  output.info(`Dropping physical replication slot '${slotName}' on server '${name}'`)
  try {
    await using connection = await connect(context, server)
    await connection.dropSlot(slotName)
    output.info(`Replication slot '${slotName}' dropped`)
  } catch (error) {
    if (isBackstayError(error, 'SLOT_MISSING')) {
      return output.error(`Replication slot '${slotName}' does not exist`)
    }
    if (!isBackstayError(error, 'SLOT_IN_USE')) throw error
    output.error(
      `Cannot drop replication slot '${slotName}' on server '${name}' because it is in use.`,
    )
  }
}

async function connect(
  context: BarmanContext,
  server: BarmanServer,
): Promise<ReplicationConnection> {
  const connection = receiverConnection(server, context.environment)
  return await ReplicationConnection.connect({ ...connection, signal: context.signal })
}

async function stop(context: BarmanContext, server: BarmanServer): Promise<void> {
  const { output } = context
  const pid = await pidOfTask(context, server, TASK)
  if (pid === undefined) {
    return output.error(`Termination of ${TASK} failed: no such process for server ${server.name}`)
  }
  if (await stopTask(context, server, TASK)) output.info(`Stopped process ${TASK}(${pid})`)
  else output.error(`ERROR: Cannot terminate process ${TASK}(${pid})`)
}

/**
 * Our receiver finds its place by itself from what is held: there is no status that could be wrong.
 */
async function reset(context: BarmanContext, server: BarmanServer): Promise<void> {
  const { output } = context
  if ((await pidOfTask(context, server, TASK)) !== undefined) {
    return output.error(
      `Unable to reset the status of receive-wal for server ${server.name}. Process is still running`,
    )
  }
  output.info('Nothing to do. Position of receive-wal is aligned.')
}

function noSlot({ output }: BarmanContext, server: BarmanServer): void {
  output.error(`slot_name is not set for server '${server.name}': there is no slot to work on`)
}
