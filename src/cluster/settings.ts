/**
 * The settings every server of the cluster gets, whatever its role: so that any standby can take
 * over as it is. What makes a standby follow is apart, in standby-settings.ts.
 */
import { versionFacts } from '../postgres/version.ts'
import type { ClusterWanted, ServerWanted } from './wanted.ts'
import { archiveCommandWanted } from './archive-command.ts'

/** Setting name in lower case → value as it stands in the file. */
export type Settings = Readonly<Record<string, string>>

/**
 * Settings that a standby may not have lower than its primary: it stops (≤ 13) or pauses replay
 * (14+). Source: PostgreSQL documentation, "Hot Standby", Administrator's Overview.
 */
export const STANDBY_FLOOR_SETTINGS = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
] as const

/** A name of STANDBY_FLOOR_SETTINGS. */
export type StandbyFloorSetting = (typeof STANDBY_FLOOR_SETTINGS)[number]

/** What the settings of a server hang on besides the wish. */
export interface SettingsContext {
  /** Lowest values because of the primary; raised, never lowered. */
  readonly floors: Partial<Readonly<Record<StandbyFloorSetting, number>>>
  /** Whether commits may wait for standbys already: true once enough of them stream. */
  readonly isSynchronous: boolean
}

const MB = 1024 * 1024
const SPARE_SENDERS = 10

/**
 * The content of backstay.conf for one server. The operator's parameters win; the server's own win
 * over all.
 */
export function settingsWanted(
  wanted: ClusterWanted,
  server: ServerWanted,
  context: SettingsContext,
): Settings {
  const { synchronous_standby_names: names, ...others } = lowerCase({
    ...defaultSettings(wanted, server),
    ...synchronousSettings(wanted, server),
    ...lowerCase(wanted.postgres.parameters),
    ...lowerCase(server.parameters),
  })
  return {
    ...others,
    ...(names !== undefined && context.isSynchronous ? { synchronous_standby_names: names } : {}),
    ...raised(others, context.floors),
  }
}

/** How many confirmations a commit waits for, and whose; undefined when commits do not wait. */
export function synchronousWanted(
  wanted: ClusterWanted,
  server: ServerWanted,
): { readonly count: number; readonly names: readonly string[] } | undefined {
  const standbys =
    wanted.replication.synchronousStandbys === undefined
      ? []
      : wanted.servers.filter((other) => other.name !== server.name).map((other) => other.name)
  const names = wanted.backup?.synchronous === true ? [...standbys, wanted.backup.name] : standbys
  return names.length === 0
    ? undefined
    : { count: wanted.replication.synchronousStandbys ?? 1, names }
}

/**
 * WAL senders the cluster itself needs on a primary: a stream and a clone a standby, a receiver, a
 * backup.
 */
export function sendersNeeded(wanted: ClusterWanted): number {
  return sendersNeededFor(sizeOf(wanted))
}

/** How many servers a cluster has, and whether one of them is for backups. */
interface ClusterSize {
  readonly servers: number
  readonly hasBackup: boolean
}

function sizeOf({ servers, backup }: ClusterWanted): ClusterSize {
  return { servers: servers.length, hasBackup: backup !== undefined }
}

/** The same for a cluster of that size. */
export function sendersNeededFor({ servers, hasBackup }: ClusterSize): number {
  return 2 * (servers - 1) + (hasBackup ? 2 : 0)
}

/** Slots the cluster itself needs on a primary. */
export function slotsNeeded(wanted: ClusterWanted): number {
  return slotsNeededFor(sizeOf(wanted))
}

/** The same for a cluster of that size. */
export function slotsNeededFor({ servers, hasBackup }: ClusterSize): number {
  return servers - 1 + (hasBackup ? 1 : 0)
}

function defaultSettings(wanted: ClusterWanted, server: ServerWanted): Settings {
  const { postgres, replication } = wanted
  const { segmentBytes, version } = postgres
  const keepSegments = Math.ceil(replication.walKeepBytes / segmentBytes)
  const slotLimit = replication.maxSlotWalKeepBytes
  return {
    cluster_name: `${wanted.name}/${server.name}`,
    listen_addresses: listenWanted(server.address),
    port: String(server.port),
    unix_socket_directories: server.socketDirectory,
    password_encryption: postgres.authentication,
    wal_level: 'replica',
    hot_standby: 'on',
    // Without it, or checksums, an old primary could never be rewound; with checksums it costs
    // nothing more.
    wal_log_hints: 'on',
    max_wal_senders: String(Math.max(SPARE_SENDERS, sendersNeeded(wanted) + 4)),
    max_replication_slots: String(Math.max(SPARE_SENDERS, slotsNeeded(wanted) + 4)),
    min_wal_size: megabytes(Math.max(80 * MB, 5 * segmentBytes)),
    max_wal_size: megabytes(Math.max(1024 * MB, 64 * segmentBytes)),
    ...(versionFacts(version).walKeepSetting === 'wal_keep_size'
      ? { wal_keep_size: megabytes(replication.walKeepBytes) }
      : { wal_keep_segments: String(keepSegments) }),
    ...(versionFacts(version).maxSlotWalKeepSize && slotLimit !== undefined
      ? { max_slot_wal_keep_size: megabytes(slotLimit) }
      : {}),
    ...archiveSettings(archiveCommandWanted(wanted, server)),
    ...LOG_SETTINGS,
  }
}

/**
 * A week of logs inside the data directory, one file a weekday, so that `check` can quote the
 * server's own words.
 */
const LOG_SETTINGS: Settings = {
  logging_collector: 'on',
  log_directory: 'log',
  log_filename: 'postgresql-%a.log',
  log_truncate_on_rotation: 'on',
  log_rotation_age: '1d',
  log_rotation_size: '0',
  log_line_prefix: '%m [%p] %q%u@%d ',
}

function archiveSettings(command: string | undefined): Settings {
  return command === undefined ? {} : { archive_mode: 'on', archive_command: command }
}

function synchronousSettings(wanted: ClusterWanted, server: ServerWanted): Settings {
  const synchronous = synchronousWanted(wanted, server)
  if (synchronous === undefined) return {}
  const names = synchronous.names.map((name) => `"${name.replaceAll('"', '""')}"`).join(', ')
  return { synchronous_standby_names: `ANY ${synchronous.count} (${names})` }
}

function raised(settings: Settings, floors: SettingsContext['floors']): Settings {
  const entries = STANDBY_FLOOR_SETTINGS.flatMap((name): [string, string][] => {
    const floor = floors[name]
    const own = Number(settings[name] ?? DEFAULTS[name])
    return floor === undefined || own >= floor ? [] : [[name, String(floor)]]
  })
  return Object.fromEntries(entries)
}

/**
 * What PostgreSQL takes when nothing is set; the same in every supported major (max_connections:
 * initdb writes 100).
 */
const DEFAULTS: Readonly<Record<StandbyFloorSetting, number>> = {
  max_connections: 100,
  max_worker_processes: 8,
  max_wal_senders: 10,
  max_prepared_transactions: 0,
  max_locks_per_transaction: 64,
}

function lowerCase(settings: Settings): Settings {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name.toLowerCase(), value]),
  )
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / MB)}MB`
}

/**
 * A machine may have more loopback addresses than the one "localhost" means: the server listens
 * where it is looked for.
 */
function listenWanted(address: string): string {
  if (!isLoopback(address)) return '*'
  return address === 'localhost' || address === '127.0.0.1' ? 'localhost' : `localhost,${address}`
}

/**
 * Whether an address is the machine itself by name: nobody else can reach it, so nobody else is
 * listened to.
 */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || address.startsWith('127.')
}
