/**
 * Connects to the server WAL has to come from: of several, the primary; of several primaries the one on the newest timeline,
 * so that a former primary that came back is not followed.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BackstayError } from '../errors/backstay-error.ts'
import type { ConnectionOptions } from '../wire/connection-options.ts'
import { ReplicationConnection } from '../wire/replication-connection.ts'
import { describeServer } from '../wire/server-address.ts'

/** Another server may answer so long after a primary did: it may be one on a newer timeline. */
const LATE_MS = 2000

/** A connection and where it leads. */
export interface ChosenServer extends AsyncDisposable {
  readonly connection: ReplicationConnection
  readonly options: ConnectionOptions
}

/** A single server is taken as it is, a standby too. @throws {BackstayError} POSTGRES_UNREACHABLE when none is a primary, … */
export async function chooseServer(
  servers: readonly ConnectionOptions[],
  signal: AbortSignal,
): Promise<ChosenServer> {
  const [only, ...others] = servers
  if (only === undefined) throw new BackstayError('BUG', 'Cannot receive WAL: no server is named')
  if (others.length === 0) return chosen(await connect(only, signal), only)
  const tried = await tryAll(servers, signal)
  const primaries = tried.filter((candidate) => 'timeline' in candidate && candidate.isPrimary)
  const best = (primaries as Candidate[]).toSorted((a, b) => b.timeline - a.timeline)[0]
  const rest = tried.filter((candidate): candidate is Candidate => 'timeline' in candidate)
  await Promise.all(rest.filter((one) => one !== best).map(async (one) => one.connection.close()))
  signal.throwIfAborted()
  if (best === undefined) throw noPrimary(servers, tried)
  return chosen(best.connection, best.options)
}

interface Candidate {
  readonly connection: ReplicationConnection
  readonly options: ConnectionOptions
  readonly isPrimary: boolean
  readonly timeline: number
}

type Tried = Candidate | { readonly error: unknown }

/** A host that is dead takes its whole timeout: once a primary has answered, commits that wait for us do not wait for that as well. */
async function tryAll(
  servers: readonly ConnectionOptions[],
  signal: AbortSignal,
): Promise<readonly Tried[]> {
  const late = new AbortController()
  const ending = AbortSignal.any([signal, late.signal])
  const tries = servers.map(async (server) => tryServer(server, ending))
  const found = firstPrimary(tries).then(async () =>
    delay(LATE_MS, undefined, { signal: late.signal }).catch(() => undefined),
  )
  await Promise.race([Promise.all(tries), found])
  late.abort()
  return await Promise.all(tries)
}

async function firstPrimary(tries: readonly Promise<Tried>[]): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const one of tries) {
      void one.then((tried) => {
        if ('timeline' in tried && tried.isPrimary) resolve()
      })
    }
  })
}

async function tryServer(options: ConnectionOptions, signal: AbortSignal): Promise<Tried> {
  try {
    const connection = await connect(options, signal)
    try {
      const { timeline } = await connection.identifySystem({ signal })
      // A standby's transactions are read-only; in_hot_standby exists only from 14 on.
      const isPrimary = (await connection.show('transaction_read_only', { signal })) === 'off'
      return { connection, options, isPrimary, timeline }
    } catch (error) {
      await connection.close()
      throw error
    }
  } catch (error) {
    return { error }
  }
}

async function connect(
  options: ConnectionOptions,
  signal: AbortSignal,
): Promise<ReplicationConnection> {
  return await ReplicationConnection.connect({ ...options, signal })
}

function chosen(connection: ReplicationConnection, options: ConnectionOptions): ChosenServer {
  return { connection, options, [Symbol.asyncDispose]: async () => connection.close() }
}

/** When a server could not be asked, why it could not says more than that no primary was found. */
function noPrimary(servers: readonly ConnectionOptions[], tried: readonly Tried[]): BackstayError {
  const failure = tried.find((one) => 'error' in one)
  if (failure !== undefined && failure.error instanceof BackstayError) return failure.error
  const names = servers.map(describeServer).join(', ')
  return new BackstayError(
    'POSTGRES_UNREACHABLE',
    `Cannot receive WAL: none of ${names} is a primary`,
    { hint: 'See `backstay status`; `backstay failover` promotes a standby.' },
  )
}
