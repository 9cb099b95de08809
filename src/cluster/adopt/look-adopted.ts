/**
 * Reads a running primary and the standbys it names, as superuser over TCP. Changes nothing.
 */
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import { isSupportedMajor, majorOfVersionNumber } from '../../postgres/version.ts'
import { parseSize } from '../../util/size.ts'
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import { type SqlClient, withSql } from '../../wire/sql-client.ts'
import {
  type AdoptedAnswer,
  type AdoptedCluster,
  type AdoptedServer,
  keptParameters,
  nameServers,
} from './adopted.ts'

const CONNECT_TIMEOUT_MS = 5000

/** What a standby calls itself when nobody named it. */
const UNNAMED = 'walreceiver'

/** An address with a port. */
export interface Place {
  readonly host: string
  readonly port: number
}

/** Where to look, and as whom. */
export interface AdoptOrder {
  readonly primary: Place
  /** Standbys named by the operator; others are looked for where pg_stat_replication says they are. */
  readonly standbys: readonly Place[]
  readonly login: Pick<ConnectionOptions, 'user' | 'passfile' | 'signal'>
}

interface Found {
  readonly place: Place
  readonly answer: AdoptedAnswer
  readonly wish: string | undefined
}

interface Sender {
  readonly host: string | null
  readonly name: string
}

/**
 * Looks.
 * @throws NOT_READY when the server is no primary, or the role no superuser; POSTGRES_VERSION; POSTGRES_IDENTITY for a standby
 * of another cluster; what connecting throws.
 */
export async function lookAdopted(order: AdoptOrder): Promise<AdoptedCluster> {
  const { answer, senders } = await withSql(optionsOf(order, order.primary), async (sql) => ({
    answer: await ask(sql),
    senders: await sql.query<Sender>(SENDERS_QUERY),
  }))
  refuse(order, answer)
  const named = await Promise.all(
    order.standbys.map(async (place) => ({ place, ...(await askAt(order, place)) })),
  )
  const notes: string[] = []
  const discovered = await discover(order, { senders, known: named }, notes)
  const all = [{ place: order.primary, answer, wish: undefined }, ...named, ...discovered]
  for (const found of all) checkIdentity(found, answer)
  const cluster = describe(order, answer, all)
  const overrides = cluster.servers.flatMap(({ name }, index) => overrideNote(name, all[index]))
  return { ...cluster, notes: [...notes, ...overrides] }
}

/** What ALTER SYSTEM says wins over any file of ours, and pg_basebackup -R says it that way. */
function overrideNote(name: string, found: Found | undefined): readonly string[] {
  if (found?.answer.isConninfoOverridden !== true) return []
  return [
    `"${name}" is pointed at its primary by ALTER SYSTEM (as pg_basebackup -R does), which would win over Backstay. Run there before backstay up: ALTER SYSTEM RESET primary_conninfo; ALTER SYSTEM RESET primary_slot_name`,
  ]
}

function optionsOf({ login }: AdoptOrder, place: Place): ConnectionOptions {
  return { ...login, ...place, applicationName: 'backstay', connectTimeoutMs: CONNECT_TIMEOUT_MS }
}

async function askAt(
  order: AdoptOrder,
  place: Place,
): Promise<{ readonly answer: AdoptedAnswer; readonly wish: string | undefined }> {
  const answer = await withSql(optionsOf(order, place), ask)
  return { answer, wish: ownName(answer.settings.get('primary_conninfo') ?? '') }
}

function ownName(conninfo: string): string | undefined {
  const name = /application_name\s*=\s*'?([^\s']+)/.exec(conninfo)?.[1]
  return name === UNNAMED ? undefined : name
}

const SENDERS_QUERY = `
SELECT DISTINCT host(client_addr) AS host, coalesce(application_name, '') AS name
  FROM pg_stat_replication WHERE state IN ('streaming', 'catchup')`

async function ask(sql: SqlClient): Promise<AdoptedAnswer> {
  const server = await sql.one<Omit<AdoptedAnswer, 'settings'>>(
    `SELECT pg_is_in_recovery() AS "inRecovery",
            (SELECT system_identifier::text FROM pg_control_system()) AS "systemIdentifier",
            current_setting('server_version_num')::int AS "versionNumber",
            (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS "isSuperuser",
            EXISTS (SELECT 1 FROM pg_settings
                     WHERE name IN ('primary_conninfo', 'primary_slot_name') AND setting <> ''
                       AND sourcefile LIKE '%/postgresql.auto.conf') AS "isConninfoOverridden"`,
  )
  const rows = await sql.query<{ name: string; value: string }>(
    'SELECT name, current_setting(name) AS value FROM pg_settings',
  )
  return { ...server, settings: new Map(rows.map(({ name, value }) => [name, value])) }
}

function refuse({ primary, login }: AdoptOrder, answer: AdoptedAnswer): void {
  const where = `${primary.host}:${primary.port}`
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
  seen: { readonly senders: readonly Sender[]; readonly known: readonly Found[] },
  notes: string[],
): Promise<readonly Found[]> {
  const found: Found[] = []
  for (const { host, name } of seen.senders) {
    // One that was named and has no name of its own cannot be told from others on its machine.
    if (seen.known.some((one) => one.wish === name || one.place.host === host)) continue
    const place = { host: host ?? order.primary.host, port: order.primary.port }
    const isKnown = [order.primary, ...seen.known.map((one) => one.place)].some(
      (one) => one.host === place.host && one.port === place.port,
    )
    const answer = isKnown ? undefined : await askIfAny(order, place)
    if (answer?.inRecovery === true) {
      found.push({ place, answer, wish: name === UNNAMED ? undefined : name })
    } else {
      notes.push(
        `"${name}" at ${place.host} receives WAL and was left out: no standby answers at ${place.host}:${place.port}. If it is one, name it with --standby HOST:PORT`,
      )
    }
  }
  return found
}

async function askIfAny(order: AdoptOrder, place: Place): Promise<AdoptedAnswer | undefined> {
  try {
    return await withSql(optionsOf(order, place), ask)
  } catch (error) {
    if (isBackstayError(error) && order.login.signal?.aborted !== true) return undefined
    throw error
  }
}

function checkIdentity({ place, answer }: Found, primary: AdoptedAnswer): void {
  if (answer.systemIdentifier === primary.systemIdentifier) return
  throw new BackstayError(
    'POSTGRES_IDENTITY',
    `${place.host}:${place.port} is of another cluster: its system identifier is ${answer.systemIdentifier}, the primary's ${primary.systemIdentifier}`,
  )
}

function describe(
  { login }: AdoptOrder,
  answer: AdoptedAnswer,
  all: readonly Found[],
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
    authentication: setting('password_encryption') === 'scram-sha-256' ? 'scram-sha-256' : 'md5',
    walKeepBytes:
      major >= 13
        ? bytesOf(setting('wal_keep_size'))
        : Number(setting('wal_keep_segments')) * segmentBytes,
    slotKeepBytes: slotKeep(setting('max_slot_wal_keep_size')),
    servers: all.map((found, index) => serverOf(found, names[index] ?? '')),
    parameters: keptParameters(answer, { servers: all.length, hasChecksums }),
  }
}

function serverOf({ place, answer }: Found, name: string): AdoptedServer {
  const sockets = answer.settings.get('unix_socket_directories')?.split(',')[0]?.trim()
  return {
    name,
    ...place,
    directory: answer.settings.get('data_directory') ?? '',
    socketDirectory: sockets === '' ? undefined : sockets,
    isPrimary: !answer.inRecovery,
  }
}

function slotKeep(text: string): number | undefined {
  return text === '' || text === '-1' ? undefined : bytesOf(text)
}

function bytesOf(text: string): number {
  return parseSize(text) ?? 0
}
