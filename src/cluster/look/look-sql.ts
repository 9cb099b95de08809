/**
 * Asks one running server everything a look wants to know over SQL.
 */
import type { Clock } from '../../util/clock.ts'
import type { SqlClient } from '../../wire/sql-client.ts'
import type {
  ArchiverFound,
  FileErrorFound,
  HbaErrorFound,
  PositionFound,
  ReceiverFound,
  RoleFound,
  SenderFound,
  SettingFound,
  SlotFound,
  SqlFound,
  TablespaceFound,
} from '../found-sql.ts'
import { judgeVerifier } from '../state/verifier.ts'
import {
  ARCHIVER_QUERY,
  ASYNCHRONOUS_QUERY,
  FILE_ERRORS_QUERY,
  hbaErrorsQuery,
  IDENTITY_QUERY,
  RECEIVER_QUERY,
  ROLES_QUERY,
  SENDERS_QUERY,
  SETTINGS_QUERY,
  SIZES_QUERY,
  slotsQuery,
  TABLESPACES_QUERY,
} from './sql-queries.ts'

/** Which roles and functions are asked about. */
export interface RolesAsked {
  /** Role → its password where one is kept. */
  readonly roles: ReadonlyMap<string, string | undefined>
  readonly functions: readonly string[]
}

type IdentityFound = Omit<PositionFound, 'clockSkewMs'> &
  Pick<
    SqlFound,
    | 'versionNumber'
    | 'version'
    | 'systemIdentifier'
    | 'inRecovery'
    | 'timeline'
    | 'startedAtMs'
    | 'configLoadedAtMs'
    | 'conflicts'
    | 'syncWaiters'
    | 'connections'
  >

/** Asks; `clock` is this machine's. @throws what the connection throws. */
export async function lookSql(sql: SqlClient, asked: RolesAsked, clock: Clock): Promise<SqlFound> {
  const beforeMs = clock.now()
  const identity = known(await sql.one(IDENTITY_QUERY)) as IdentityFound
  const afterMs = clock.now()
  // Reading the files tells PostgreSQL which settings wait for a restart, before anybody asked for
  // a reload.
  const fileErrors = await rows<FileErrorFound>(sql, FILE_ERRORS_QUERY)
  const settings = await rows<SettingFound & { name: string }>(sql, SETTINGS_QUERY)
  const [receiver] = await rows<ReceiverFound>(sql, RECEIVER_QUERY)
  const {
    current,
    received,
    replayed,
    isReplayPaused,
    replayedCommitAtMs,
    answeredAtMs,
    ...server
  } = identity
  return {
    ...server,
    position: {
      current,
      received,
      replayed,
      isReplayPaused,
      replayedCommitAtMs,
      answeredAtMs,
      clockSkewMs: answeredAtMs - Math.min(afterMs, Math.max(beforeMs, answeredAtMs)),
    },
    settings: new Map(settings.map(({ name, ...setting }) => [name, setting])),
    fileErrors,
    hbaErrors: await rows<HbaErrorFound>(sql, hbaErrorsQuery(sql.major)),
    roles: await lookRoles(sql, asked),
    slots: await rows<SlotFound>(sql, slotsQuery(sql.major)),
    senders: await rows<SenderFound>(sql, SENDERS_QUERY),
    asynchronous: (await rows<{ who: string }>(sql, ASYNCHRONOUS_QUERY)).map(({ who }) => who),
    receiver,
    archiver: known(await sql.one(ARCHIVER_QUERY)) as ArchiverFound,
    tablespaces: await rows<TablespaceFound>(sql, TABLESPACES_QUERY),
  }
}

/** Bytes a clone has to copy: under '' the data directory, else by the tablespace's location. */
export async function lookSizes(sql: SqlClient): Promise<ReadonlyMap<string, number>> {
  const found = await rows<{ location: string; bytes: number }>(sql, SIZES_QUERY)
  return new Map(found.map(({ location, bytes }) => [location, bytes]))
}

/** The roles asked about that exist. */
export async function lookRoles(sql: SqlClient, asked: RolesAsked): Promise<readonly RoleFound[]> {
  interface Row extends Omit<RoleFound, 'password' | 'method'> {
    readonly verifier: string | undefined
  }
  const found = await rows<Row>(sql, ROLES_QUERY, [[...asked.roles.keys()], asked.functions])
  return found.map(({ verifier, ...role }) => {
    const password = asked.roles.get(role.name)
    const credential = password === undefined ? undefined : { role: role.name, password }
    return { ...role, ...judgeVerifier(verifier ?? null, credential) }
  })
}

async function rows<T extends object>(
  sql: SqlClient,
  text: string,
  values: readonly unknown[] = [],
): Promise<T[]> {
  return (await sql.query(text, values)).map((row) => known(row) as T)
}

/**
 * A row with PostgreSQL's null as our undefined; the query's column names are the keys of what it
 * is taken for.
 */
function known(row: object): object {
  const entries = Object.entries(row).map(([key, value]) => [key, (value as unknown) ?? undefined])
  return Object.fromEntries(entries) as object
}
