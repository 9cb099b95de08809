/**
 * Reads a running primary and the standbys it names, as superuser over TCP. Changes nothing.
 */
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import { isSupportedMajor, majorOfVersionNumber } from '../../postgres/version.ts'
import { parseSize } from '../../util/size.ts'
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import { type SqlClient, withSql } from '../../wire/sql-client.ts'
import { believedPaths, isUsualData, notesOnPaths } from './believed-paths.ts'
import { heardSenders, heardServer, heardSettings, type Sender } from './heard.ts'
import {
  type AdoptedAnswer,
  type AdoptedCluster,
  type AdoptedServer,
  keptParameters,
  nameServers,
} from '../../cluster/adopted.ts'

const CONNECT_TIMEOUT_MS = 5000

/** What a standby calls itself when nobody named it. */
const UNNAMED = 'walreceiver'

/** An address with a port. */
export interface HostAndPort {
  readonly host: string
  readonly port: number
}

/** Where to look, and as whom. */
export interface AdoptOrder {
  readonly primary: HostAndPort
  /**
   * Standbys named by the operator; others are looked for where pg_stat_replication says they are.
   */
  readonly standbys: readonly HostAndPort[]
  readonly login: Pick<ConnectionOptions, 'user' | 'passfile' | 'signal'>
  /**
   * Data directories outside the distribution's places that the operator vouches for. Default:
   * none.
   */
  readonly dataDirectories?: readonly string[]
  /** Whether data with that identifier is seen to lie there. Default: nothing is seen. */
  readonly seesData?: (place: HostAndPort, data: SeenData) => Promise<boolean>
}

/** What a server says of its data. */
export interface SeenData {
  readonly directory: string
  readonly systemIdentifier: string
}

interface AdoptedFound {
  readonly place: HostAndPort
  readonly answer: AdoptedAnswer
  readonly wish: string | undefined
}

/**
 * Looks.
 * @throws NOT_READY when the server is no primary, or the role no superuser; POSTGRES_VERSION;
 * POSTGRES_PROTOCOL for answers that are none;
 * POSTGRES_IDENTITY for a standby of another cluster; what connecting throws.
 */
export async function lookAdopted(order: AdoptOrder): Promise<AdoptedCluster> {
  const { answer, senders } = await withSql(optionsOf(order, order.primary), async (sql) => ({
    answer: await ask(sql, order.primary),
    senders: heardSenders(await sql.query(SENDERS_QUERY), nameOf(order.primary)),
  }))
  refuse(order, answer)
  const named = await Promise.all(
    order.standbys.map(async (place) => ({ place, ...(await askAt(order, place)) })),
  )
  const notes: string[] = []
  const discovered = await discover(order, { senders, known: named }, notes)
  const all = [{ place: order.primary, answer, wish: undefined }, ...named, ...discovered]
  for (const found of all) checkIdentity(found, answer)
  const cluster = describe(order, answer, await vouched(order, all))
  const each = cluster.servers.flatMap(({ name }, index) => notesOf(name, all[index]))
  return { ...cluster, notes: [...notes, ...each, ...restartNote(cluster, answer)] }
}

/** What the plan restarts everybody for is said at once. */
function restartNote(
  { hasChecksums }: Omit<AdoptedCluster, 'notes'>,
  answer: AdoptedAnswer,
): readonly string[] {
  if (hasChecksums || answer.settings.get('wal_log_hints') === 'on') return []
  return [
    'wal_log_hints is off and there are no checksums, and pg_rewind needs one of them: backstay up switches it on, which restarts every server, standbys first',
  ]
}

function notesOf(name: string, found: AdoptedFound | undefined): readonly string[] {
  if (found === undefined) return []
  return [...overrideNote(name, found), ...notesOnPaths(name, found.answer.settings)]
}

/** What ALTER SYSTEM says wins over any file of ours, and pg_basebackup -R says it that way. */
function overrideNote(name: string, found: AdoptedFound): readonly string[] {
  if (!found.answer.isConninfoOverridden) return []
  return [
    `"${name}" is pointed at its primary by ALTER SYSTEM (as pg_basebackup -R does), which would win over Backstay. Run there before backstay up: ALTER SYSTEM RESET primary_conninfo; ALTER SYSTEM RESET primary_slot_name`,
  ]
}

/**
 * There is no cluster file yet that could say what to expect of a server the operator names: its
 * lines may say trust.
 */
const OF_A_NAMED_ONE = ['scram-sha-256', 'md5', 'none'] as const
/**
 * Any holder of the replication role decides what pg_stat_replication says: an md5 answer is as
 * good as the superuser's password.
 */
const OF_A_DISCOVERED_ONE = ['scram-sha-256'] as const

function optionsOf(
  { login }: AdoptOrder,
  place: HostAndPort,
  requireAuth: ConnectionOptions['requireAuth'] = OF_A_NAMED_ONE,
): ConnectionOptions {
  return {
    ...login,
    ...place,
    applicationName: 'backstay',
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    requireAuth,
  }
}

async function askAt(
  order: AdoptOrder,
  place: HostAndPort,
): Promise<{ readonly answer: AdoptedAnswer; readonly wish: string | undefined }> {
  const answer = await withSql(optionsOf(order, place), async (sql) => ask(sql, place))
  return { answer, wish: ownName(answer.settings.get('primary_conninfo') ?? '') }
}

function ownName(conninfo: string): string | undefined {
  const name = /application_name\s*=\s*'?([^\s']+)/.exec(conninfo)?.[1]
  return name === UNNAMED ? undefined : name
}

const SENDERS_QUERY = `
SELECT DISTINCT host(client_addr) AS host, coalesce(application_name, '') AS name
  FROM pg_stat_replication WHERE state IN ('streaming', 'catchup')`

function nameOf({ host, port }: HostAndPort): string {
  return `${host}:${port}`
}

async function ask(sql: SqlClient, place: HostAndPort): Promise<AdoptedAnswer> {
  const row = await sql.one(
    `SELECT pg_is_in_recovery() AS "inRecovery",
            (SELECT system_identifier::text FROM pg_control_system()) AS "systemIdentifier",
            current_setting('server_version_num')::int AS "versionNumber",
            (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS "isSuperuser",
            EXISTS (SELECT 1 FROM pg_settings
                     WHERE name IN ('primary_conninfo', 'primary_slot_name') AND setting <> ''
                       AND sourcefile LIKE '%/postgresql.auto.conf') AS "isConninfoOverridden"`,
  )
  const server = heardServer(row, nameOf(place))
  const rows = await sql.query('SELECT name, current_setting(name) AS value FROM pg_settings')
  const settings = heardSettings(rows, nameOf(place))
  const hasMd5Password = server.isSuperuser && (await isMd5(sql))
  return { ...server, settings, hasMd5Password }
}

async function isMd5(sql: SqlClient): Promise<boolean> {
  const { isMd5: answer } = await sql.one<{ isMd5: boolean }>(
    `SELECT coalesce(rolpassword LIKE 'md5%', false) AS "isMd5"
       FROM pg_authid WHERE rolname = current_user`,
  )
  return answer
}

function refuse({ primary, login }: AdoptOrder, answer: AdoptedAnswer): void {
  const where = nameOf(primary)
  if (answer.inRecovery) {
    throw new BackstayError('NOT_READY', `Cannot adopt ${where}: it is a standby`, {
      hint: 'Name its primary; the standbys are found from there.',
    })
  }
  if (!answer.isSuperuser) {
    throw new BackstayError(
      'NOT_READY',
      `Cannot adopt ${where}: role "${login.user}" is no superuser`,
      { hint: 'Name one with --user.' },
    )
  }
}

/** The standbys pg_stat_replication names, asked where they are, at the port of the primary. */
async function discover(
  order: AdoptOrder,
  seen: { readonly senders: readonly Sender[]; readonly known: readonly AdoptedFound[] },
  notes: string[],
): Promise<readonly AdoptedFound[]> {
  const found: AdoptedFound[] = []
  for (const { host, name } of seen.senders) {
    // One that was named and has no name of its own cannot be told from others on its machine.
    if (seen.known.some((one) => one.wish === name || one.place.host === host)) continue
    const place = { host: host ?? order.primary.host, port: order.primary.port }
    const isKnown = [order.primary, ...seen.known.map((one) => one.place)].some(
      (one) => one.host === place.host && one.port === place.port,
    )
    const answer = isKnown ? undefined : await askIfAny(order, place)
    if (typeof answer === 'object' && answer.inRecovery) {
      found.push({ place, answer, wish: name === UNNAMED ? undefined : name })
    } else {
      const refusal = typeof answer === 'string' ? ` (${answer})` : ''
      const why = `no standby answers at ${place.host}:${place.port}${refusal}`
      notes.push(
        `"${name}" at ${place.host} receives WAL and was left out: ${why}. If it is a standby, name it with --standby HOST:PORT`,
      )
    }
  }
  return found
}

/**
 * What it says, or why it was not asked: its proof is another than SCRAM, or the password was
 * refused.
 */
async function askIfAny(
  order: AdoptOrder,
  place: HostAndPort,
): Promise<AdoptedAnswer | string | undefined> {
  try {
    return await withSql(optionsOf(order, place, OF_A_DISCOVERED_ONE), async (sql) =>
      ask(sql, place),
    )
  } catch (error) {
    if (!isBackstayError(error) || order.login.signal?.aborted === true) throw error
    return error.code === 'POSTGRES_AUTH' ? error.message : undefined
  }
}

function checkIdentity({ place, answer }: AdoptedFound, primary: AdoptedAnswer): void {
  if (answer.systemIdentifier === primary.systemIdentifier) return
  throw new BackstayError(
    'POSTGRES_IDENTITY',
    `${place.host}:${place.port} is of another cluster: its system identifier is ${answer.systemIdentifier}, the primary's ${primary.systemIdentifier}`,
  )
}

interface Vouched extends AdoptedFound {
  /** Whether somebody else than the server says where its data lies. */
  readonly isVouched: boolean
}

async function vouched(
  order: AdoptOrder,
  all: readonly AdoptedFound[],
): Promise<readonly Vouched[]> {
  const { dataDirectories = [], seesData } = order
  return await Promise.all(
    all.map(async (found) => {
      const { systemIdentifier, settings } = found.answer
      const directory = settings.get('data_directory') ?? ''
      const isNamed = dataDirectories.includes(directory)
      const isSeen =
        !isNamed &&
        !isUsualData(directory) &&
        (await seesData?.(found.place, { directory, systemIdentifier })) === true
      return { ...found, isVouched: isNamed || isSeen }
    }),
  )
}

function describe(
  { login }: AdoptOrder,
  answer: AdoptedAnswer,
  all: readonly Vouched[],
): Omit<AdoptedCluster, 'notes'> {
  const major = majorOfVersionNumber(answer.versionNumber)
  if (!isSupportedMajor(major)) {
    throw new BackstayError('POSTGRES_VERSION', `Cannot adopt PostgreSQL ${major}`)
  }
  const setting = (name: string): string => answer.settings.get(name) ?? ''
  const names = nameServers(all.map(({ wish }) => wish))
  const hasChecksums = setting('data_checksums') === 'on'
  const segmentBytes = bytesOf(setting('wal_segment_size'))
  return {
    systemIdentifier: answer.systemIdentifier,
    major,
    superuser: login.user,
    segmentBytes,
    hasChecksums,
    // What is said here is all that is answered: a superuser stored for md5 could not log in any
    // more.
    authentication:
      setting('password_encryption') === 'scram-sha-256' && answer.hasMd5Password !== true
        ? 'scram-sha-256'
        : 'md5',
    walKeepBytes:
      major >= 13
        ? bytesOf(setting('wal_keep_size'))
        : Number(setting('wal_keep_segments')) * segmentBytes,
    slotKeepBytes: slotKeep(setting('max_slot_wal_keep_size')),
    servers: all.map((found, index) => serverOf(found, names[index] ?? '')),
    parameters: keptParameters(answer, { servers: all.length, hasChecksums }),
  }
}

function serverOf({ place, answer, isVouched }: Vouched, name: string): AdoptedServer {
  return {
    name,
    ...place,
    ...believedPaths(name, answer.settings, () => isVouched),
    isPrimary: !answer.inRecovery,
  }
}

function slotKeep(text: string): number | undefined {
  return text === '' || text === '-1' ? undefined : bytesOf(text)
}

function bytesOf(text: string): number {
  return parseSize(text) ?? 0
}
