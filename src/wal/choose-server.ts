/**
 * Connects to the server WAL has to come from: of several, the primary; of several primaries the
 * one on the line production was seen on last, else the one on the newest timeline, so that neither
 * a former primary that came back nor a standby that was promoted by accident is followed.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BackstayError } from '../errors/backstay-error.ts'
import type { ConnectionOptions } from '../wire/connection-options.ts'
import type { LineRecords } from '../repository/line-records.ts'
import { ReplicationConnection } from '../wire/replication-connection.ts'
import { describeServer } from '../wire/server-address.ts'
import { lastRecord } from './production-line.ts'

/** Another server may answer so long after a primary did: it may be one on a newer timeline. */
const LATE_MS = 2000
/**
 * One of several that lets us in and then says nothing, or nothing to the point, must not keep us
 * from the others.
 */
const ASK_TIMEOUT_MS = 10_000

/** A connection and where it leads. */
export interface ChosenServer extends AsyncDisposable {
  readonly connection: ReplicationConnection
  readonly options: ConnectionOptions
  /** Where others answered as primaries, too; empty when a single server was named. */
  readonly rivals: readonly string[]
  /** Those of them that are as good a choice: the first of the list was taken. */
  readonly tied: readonly ConnectionOptions[]
}

/**
 * A single server is taken as it is, a standby too.
 * @throws {BackstayError} POSTGRES_UNREACHABLE when none is a primary, …
 */
export async function chooseServer(
  servers: readonly ConnectionOptions[],
  signal: AbortSignal,
  lines: LineRecords = { records: [], abandoned: new Set() },
): Promise<ChosenServer> {
  const [only, ...others] = servers
  if (only === undefined) throw new BackstayError('BUG', 'Cannot receive WAL: no server is named')
  if (others.length === 0) return chosen(await connect(only, signal), only)
  const tried = await tryAll(servers, signal)
  const primaries = tried.filter((candidate) => 'timeline' in candidate && candidate.isPrimary)
  const best = (primaries as ServerCandidate[]).toSorted(
    (a, b) => rank(b, lines) - rank(a, lines) || b.timeline - a.timeline,
  )[0]
  const rest = tried.filter((candidate): candidate is ServerCandidate => 'timeline' in candidate)
  await Promise.all(rest.filter((one) => one !== best).map(async (one) => one.connection.close()))
  signal.throwIfAborted()
  if (best === undefined) throw noPrimary(servers, tried)
  const rivals = (primaries as ServerCandidate[]).filter((one) => one !== best)
  return {
    ...chosen(best.connection, best.options),
    rivals: rivals.map(({ options }) => describeServer(options)),
    tied: rivals
      .filter((one) => one.timeline === best.timeline && rank(one, lines) === rank(best, lines))
      .map(({ options }) => options),
  }
}

/** A line declared dead comes last, the one production was seen on first. */
function rank({ timeline }: ServerCandidate, lines: LineRecords): number {
  if (lines.abandoned.has(timeline)) return 0
  return timeline === lastRecord(lines)?.timeline ? 2 : 1
}

interface ServerCandidate {
  readonly connection: ReplicationConnection
  readonly options: ConnectionOptions
  readonly isPrimary: boolean
  readonly timeline: number
}

type Tried = ServerCandidate | { readonly error: unknown }

/**
 * A host that is dead takes its whole timeout: once a primary has answered, commits that wait for
 * us do not wait for that as well.
 */
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
      const asked = { signal, timeoutMs: ASK_TIMEOUT_MS }
      const { timeline } = await connection.identifySystem(asked)
      // Our sessions may write by default (session-settings.ts), so read-only is a server in
      // recovery: what pg_is_in_recovery() says over SQL. in_hot_standby exists only from 14 on.
      const isPrimary = (await connection.show('transaction_read_only', asked)) === 'off'
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
  const alone = { rivals: [], tied: [] }
  return { connection, options, ...alone, [Symbol.asyncDispose]: async () => connection.close() }
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
